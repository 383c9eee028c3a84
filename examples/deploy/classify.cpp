// Classifies digits with a model that dtrain exported, in C++, by OpenVINO: no Python.
//
//     classify model.onnx digits.bin
//
// pip install openvino; with OV=$(python -c 'import openvino; print(openvino.__path__[0])'):
// g++ -std=c++17 -O2 classify.cpp -o classify -I$OV/include $OV/libs/libopenvino.so.* -Wl,-rpath,$OV/libs
//
// digits.bin: the number of images, their height and width, as int32; for each image its label, as
// int32, and its pixels, as float32. export_digits.py writes both files.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <vector>

#include <openvino/openvino.hpp>

struct Images {
    std::size_t count, height, width;
    std::vector<std::int32_t> labels;
    std::vector<float> pixels;
};

template <typename T> void read(std::ifstream &file, T *values, std::size_t count) {
    if (!file.read(reinterpret_cast<char *>(values), count * sizeof(T)))
        throw std::runtime_error("the file of images ends too early");
}

Images read_images(const char *path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw std::runtime_error(std::string("cannot open ") + path);
    std::int32_t sizes[3];
    read(file, sizes, 3);
    Images images{std::size_t(sizes[0]), std::size_t(sizes[1]), std::size_t(sizes[2]), {}, {}};
    const std::size_t size = images.height * images.width;
    images.labels.resize(images.count);
    images.pixels.resize(images.count * size);
    for (std::size_t i = 0; i < images.count; ++i) {
        read(file, &images.labels[i], 1);
        read(file, &images.pixels[i * size], size);
    }
    return images;
}

int main(int count, char **arguments) try {
    if (count != 3) {
        std::cerr << "usage: classify model.onnx digits.bin\n";
        return 2;
    }
    Images images = read_images(arguments[2]);
    ov::Core core;
    // Without a precision OpenVINO computes in bfloat16 on CPUs that have instructions for it.
    ov::CompiledModel model = core.compile_model(
        arguments[1], "CPU", ov::hint::inference_precision(ov::element::f32));
    ov::InferRequest request = model.create_infer_request();
    ov::Shape shape{images.count, 1, images.height, images.width};
    request.set_input_tensor(ov::Tensor(ov::element::f32, shape, images.pixels.data()));
    request.infer();
    const ov::Tensor scores = request.get_output_tensor();
    const std::size_t classes = scores.get_shape()[1];
    std::size_t right = 0;
    for (std::size_t i = 0; i < images.count; ++i) {
        const float *row = scores.data<float>() + i * classes;
        right += std::max_element(row, row + classes) - row == images.labels[i];
    }
    std::cout << right << " of " << images.count << " right\n";
    return EXIT_SUCCESS;
} catch (const std::exception &error) {
    std::cerr << error.what() << "\n";
    return EXIT_FAILURE;
}
