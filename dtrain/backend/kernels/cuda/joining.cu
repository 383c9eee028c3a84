// The arrays of one launch: joining.py has the same numbers.
#define MANY 64
#define CHUNK 4096
struct Parts {
    const STORE *source[MANY];
    long long start[MANY], size[MANY], block[MANY];
};

// A block writes CHUNK elements of one of `many` arrays, whose blocks follow each other.
extern "C" __global__ void write_parts(STORE *flat, Parts parts, long long many, long long blocks) {
    FOR_EACH_BLOCK(block, blocks) {
        int part = many - 1;
        while (parts.block[part] > block || parts.size[part] == 0) part--;
        long long begin = (block - parts.block[part]) * CHUNK, end = begin + CHUNK;
        if (end > parts.size[part]) end = parts.size[part];
        for (long long i = begin + threadIdx.x; i < end; i += THREADS)
            flat[parts.start[part] + i] = parts.source[part][i];
    }
}
