// What an optimizer does to all tensors of a network, in one launch each: a block takes CHUNK values of one tensor.
#include "common.cuh"

#define CHUNK 4096

// Columns of the tables: addresses of a tensor's values, their number, and the first block of the tensor.
struct Part {
    const unsigned long long *row;
    size_t from, to;
};

// The part of a tensor that this block takes. Rows have `columns` numbers, the last two the tensor's values and first block.
static __device__ Part part_of_block(const unsigned long long *table, int tensors, int columns) {
    int low = 0, high = tensors; // the last row whose first block is not after this one
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (table[size_t(middle) * columns + columns - 1] <= blockIdx.x) low = middle;
        else high = middle;
    }
    const unsigned long long *row = table + size_t(low) * columns;
    const size_t n = row[columns - 2], from = (blockIdx.x - row[columns - 1]) * CHUNK;
    return {row, from, min(from + CHUNK, n)};
}

template <class T> static __device__ T *pointer(unsigned long long address) { return reinterpret_cast<T *>(address); }

// One step of Adam. Rows: parameter, gradient, m, v, number, first block. Nothing is changed if *norm is not a finite float.
extern "C" __global__ void adam_update(const unsigned long long *table, int tensors, const double *norm, float keep_m, float take_m, float keep_v,
                                       float take_v, float rate, float root, float eps, float scale) {
    if (norm && !isfinite(float(*norm))) return;
    const Part part = part_of_block(table, tensors, 6);
    float *p = pointer<float>(part.row[0]), *m = pointer<float>(part.row[2]), *v = pointer<float>(part.row[3]);
    const float *gradient = pointer<const float>(part.row[1]);
    for (size_t i = part.from + threadIdx.x; i < part.to; i += THREADS) {
        const float g = gradient[i] * scale;
        m[i] = keep_m * m[i] + take_m * g;
        v[i] = keep_v * v[i] + take_v * g * g;
        p[i] -= rate * m[i] / (sqrtf(v[i]) / root + eps);
    }
}

// average = keep average + take value. Rows: average, value, number, first block.
extern "C" __global__ void adam_average(const unsigned long long *table, int tensors, float keep, float take) {
    const Part part = part_of_block(table, tensors, 4);
    float *average = pointer<float>(part.row[0]);
    const float *value = pointer<const float>(part.row[1]);
    for (size_t i = part.from + threadIdx.x; i < part.to; i += THREADS) average[i] = keep * average[i] + take * value[i];
}

// sums[block] = the sum of squares of the block's part. Rows: tensor, number, first block.
extern "C" __global__ void adam_sum_of_squares(const unsigned long long *table, int tensors, double *sums) {
    const Part part = part_of_block(table, tensors, 3);
    const float *x = pointer<const float>(part.row[0]);
    double sum = 0;
    for (size_t i = part.from + threadIdx.x; i < part.to; i += THREADS) sum += double(x[i]) * x[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// *norm = the root of the sum of `parts` sums; NaN if one of the scalars, f32 or f64 by their kind, is not finite. One block.
// Rows of the scalars: address, whether it is f64.
extern "C" __global__ void adam_norm(const double *sums, size_t parts, const unsigned long long *scalars, int count, double *norm) {
    double sum = 0;
    for (size_t i = threadIdx.x; i < parts; i += THREADS) sum += sums[i];
    for (int i = threadIdx.x; i < count; i += THREADS) {
        const unsigned long long at = scalars[2 * i];
        const double value = scalars[2 * i + 1] ? *pointer<const double>(at) : *pointer<const float>(at);
        if (!isfinite(value)) sum = NAN;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) *norm = sqrt(sum);
}

// values[i] = the i-th scalar, in f64. Rows as above.
extern "C" __global__ void adam_gather(const unsigned long long *scalars, int count, double *values) {
    const size_t i = thread_number();
    if (i >= count) return;
    const unsigned long long at = scalars[2 * i];
    values[i] = scalars[2 * i + 1] ? *pointer<const double>(at) : *pointer<const float>(at);
}
