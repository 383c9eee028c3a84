// Steps of optimizers, in place.
extern "C" __global__ void sgd(REAL *param, const REAL *grad, REAL *buffer, REAL lr, REAL momentum,
                               REAL fresh, REAL weight_decay, REAL sign, long long nesterov,
                               long long has_buffer, long long first, long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (weight_decay != 0) g += weight_decay * param[i];
        if (has_buffer) {
            REAL b = first ? g : momentum * buffer[i] + fresh * g;
            buffer[i] = b;
            g = nesterov ? g + momentum * b : b;
        }
        param[i] -= lr * g;
    }
}

extern "C" __global__ void adam(REAL *param, const REAL *grad, REAL *mean, REAL *square,
                                REAL *largest, REAL rate, REAL fresh1, REAL beta2, REAL fresh2,
                                REAL eps, REAL decay, REAL shrink, REAL root, REAL sign,
                                long long amsgrad, long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (decay != 0) g += decay * param[i];
        REAL m = mean[i] + fresh1 * (g - mean[i]);
        REAL s = square[i] * beta2 + fresh2 * g * g;
        mean[i] = m;
        square[i] = s;
        if (amsgrad) largest[i] = s = larger(largest[i], s);
        param[i] = param[i] * shrink - m / (sqrt(s) * root + eps) * rate;
    }
}
