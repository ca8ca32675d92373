// The parts of a convolution of maps joined to vectors.
#include "common.cuh"

// y = the map's channels and then the vector's, one value at every pixel: (images, c + d, pixels). A thread per value of y.
extern "C" __global__ void joint_map(const float *x, const float *vectors, float *y, size_t images, size_t c, size_t d, size_t pixels) {
    const size_t i = thread_number(), map = i / pixels, image = map / (c + d), channel = map % (c + d);
    if (image >= images) return;
    y[i] = channel < c ? x[(image * c + channel) * pixels + i % pixels] : vectors[image * d + channel - c];
}

// The first `count` values of each of n rows of `row` values. A thread per value of y.
extern "C" __global__ void joint_first(const float *x, float *y, size_t n, size_t row, size_t count) {
    const size_t i = thread_number();
    if (i < n * count) y[i] = x[i / count * row + i % count];
}
