// Power iteration of a matrix w (o, k), and its division by its largest singular value. As norms of vectors these have 1e-12 more.
#include "common.cuh"

#define EPS 1e-12
// Rows of the matrix that a block multiplies by v.
#define ROWS 4

// w^T u in parts of so many rows: (parts, k). A thread per column, parts along y.
extern "C" __global__ void spectral_columns(const float *w, const float *u, double *parts, int o, size_t k, int rows) {
    const size_t column = thread_number();
    if (column >= k) return;
    const int from = blockIdx.y * rows, end = min(from + rows, o);
    double sum = 0;
    for (int row = from; row < end; row++) sum += double(w[row * k + column]) * u[row];
    parts[blockIdx.y * k + column] = sum;
}

// w v, (o,), with v given. A block per ROWS rows.
extern "C" __global__ void spectral_rows(const float *w, const float *v, double *wv, int o, size_t k) {
    const int first = blockIdx.x * ROWS;
    for (int row = first; row < min(first + ROWS, o); row++) {
        double sum = 0;
        for (size_t i = threadIdx.x; i < k; i += THREADS) sum += double(w[row * k + i]) * v[i];
        sum = block_sum(sum);
        if (threadIdx.x == 0) wv[row] = sum;
    }
}

// w v, (o,), with v = s / |s| and s = w^T u, of which there are parts. Writes v, also to a second place where there is one.
extern "C" __global__ void spectral_rows_of_parts(const float *w, const double *parts, int number, float *v, float *second, double *wv, int o, size_t k) {
    const int first = blockIdx.x * ROWS;
    double squares = 0, sums[ROWS] = {};
    for (size_t i = threadIdx.x; i < k; i += THREADS) {
        double s = 0;
        for (int part = 0; part < number; part++) s += parts[part * k + i];
        squares += s * s;
#pragma unroll
        for (int row = 0; row < ROWS; row++)
            if (first + row < o) sums[row] += w[(first + row) * k + i] * s;
    }
    const double norm = sqrt(block_sum(squares)) + EPS;
#pragma unroll
    for (int row = 0; row < ROWS; row++) {
        const double sum = block_sum(sums[row]);
        if (threadIdx.x == 0 && first + row < o) wv[first + row] = sum / norm;
    }
    for (size_t i = thread_number(); i < k; i += size_t(gridDim.x) * THREADS) {
        double s = 0;
        for (int part = 0; part < number; part++) s += parts[part * k + i];
        v[i] = s / norm;
        if (second) second[i] = v[i];
    }
}

// y = w / sigma, with sigma = <u, w v>, which is written too. Without y nothing is divided.
// Where `iterate`, u = w v / |w v| and is written by the first block, also to a second place where there is one.
extern "C" __global__ void spectral_divide(const float *w, const double *wv, float *u, float *second, float *sigma, float *y, int o, size_t n, int iterate) {
    double sum = 0;
    for (int row = threadIdx.x; row < o; row += THREADS) sum += wv[row] * (iterate ? wv[row] : u[row]);
    sum = block_sum(sum);
    if (iterate) {
        const double norm = sqrt(sum) + EPS;
        sum /= norm;
        for (int row = threadIdx.x; blockIdx.x == 0 && row < o; row += THREADS) {
            u[row] = wv[row] / norm;
            if (second) second[row] = u[row];
        }
    }
    if (!y) return;
    const float by = sum;
    if (blockIdx.x == 0 && threadIdx.x == 0) *sigma = by;
    for (size_t i = thread_number(); i < n; i += size_t(gridDim.x) * THREADS) y[i] = w[i] / by;
}

// Parts of <dy, y>, one per block.
extern "C" __global__ void spectral_products(const float *dy, const float *y, double *parts, size_t n) {
    double sum = 0;
    for (size_t i = thread_number(); i < n; i += size_t(gridDim.x) * THREADS) sum += double(dy[i]) * y[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// dw = (dy - <dy, y> u v^T) / sigma. A block per row, or some.
extern "C" __global__ void spectral_divide_backward(const float *dy, const double *parts, int number, const float *u, const float *v, const float *sigma, float *dw,
                                                    int o, size_t k) {
    double sum = 0;
    for (int i = threadIdx.x; i < number; i += THREADS) sum += parts[i];
    const float along = block_sum(sum), by = *sigma;
    for (int row = blockIdx.x; row < o; row += gridDim.x) {
        const float of_row = along * u[row];
        for (size_t i = threadIdx.x; i < k; i += THREADS) dw[row * k + i] = (dy[row * k + i] - of_row * v[i]) / by;
    }
}
