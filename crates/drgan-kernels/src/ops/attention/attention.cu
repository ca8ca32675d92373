// Word attention. Maps are (b, channels, n) with n pixels, words (b, c, t), mask (b, t) with 1 at padding, whose words count as 0.
#include "common.cuh"
#include <cstdint>

// Rows of a product that a thread computes at once, and terms of its sums that are in shared memory at once.
#define ROWS 20
#define TERMS 64

// What a padding word's score is lowered by; reference.rs has the same.
#define EXCLUDED (-1e9f)

// The words of one image.
struct Words {
    const float *values;
    const uint8_t *padding;
    int c, t;

    // Words (t, c) where `turned`, else (c, t).
    __device__ float at(bool turned, int row, int column) const {
        const int channel = turned ? column : row, word = turned ? row : column;
        return channel < c && word < t && !padding[word] ? values[size_t(channel) * t + word] : 0;
    }
};

// Rows first to first + ROWS of the product of the words, (rows, terms), with one pixel of a map, (terms, n). All threads of a block
// come here, also those whose pixel is not `inside` the map.
static __device__ void multiply(const Words &words, bool turned, const float *map, size_t n, bool inside, int first, float *sums) {
    __shared__ float4 part[TERMS * ROWS / 4];
    const int terms = turned ? words.t : words.c;
    for (int i = 0; i < ROWS; i++) sums[i] = 0;
    for (int from = 0; from < terms; from += TERMS) {
        __syncthreads(); // what was there has been read
        for (int i = threadIdx.x; i < TERMS * ROWS; i += THREADS) reinterpret_cast<float *>(part)[i] = words.at(turned, from + i / ROWS, first + i % ROWS);
        __syncthreads();
        if (!inside) continue;
        for (int term = 0; term < min(TERMS, terms - from); term++) {
            const float value = map[(from + term) * n];
#pragma unroll
            for (int i = 0; i < ROWS / 4; i++) {
                const float4 four = part[term * (ROWS / 4) + i];
                sums[4 * i] += value * four.x;
                sums[4 * i + 1] += value * four.y;
                sums[4 * i + 2] += value * four.z;
                sums[4 * i + 3] += value * four.w;
            }
        }
    }
}

// The product of the words, (rows, terms), with a map: all rows of one pixel.
static __device__ void product(const Words &words, bool turned, const float *map, float *to, size_t n, bool inside) {
    const int rows = turned ? words.c : words.t;
    for (int first = 0; first < rows; first += ROWS) {
        float sums[ROWS];
        multiply(words, turned, map, n, inside, first, sums);
#pragma unroll
        for (int i = 0; i < ROWS; i++)
            if (inside && first + i < rows) to[(first + i) * n] = sums[i];
    }
}

// theta = softmax over words of <h, word>. A thread per pixel, images along y.
extern "C" __global__ void attention_theta(const float *h, const float *words, const uint8_t *mask, float *theta, int b, int c, int t, size_t n) {
    const size_t pixel = thread_number();
    const bool inside = pixel < n;
    for (int image = blockIdx.y; image < b; image += gridDim.y) {
        const Words of_image{words + size_t(image) * c * t, mask + size_t(image) * t, c, t};
        float *scores = theta + size_t(image) * t * n + pixel;
        product(of_image, false, h + size_t(image) * c * n + pixel, scores, n, inside);
        if (!inside) continue;
        float largest = -INFINITY, sum = 0;
        for (int word = 0; word < t; word++) {
            const float score = scores[word * n] + (of_image.padding[word] ? EXCLUDED : 0);
            scores[word * n] = score;
            if (score > largest || isnan(score)) largest = score;
        }
        for (int word = 0; word < t; word++) {
            const float weight = expf(scores[word * n] - largest);
            scores[word * n] = weight;
            sum += weight;
        }
        for (int word = 0; word < t; word++) scores[word * n] /= sum;
    }
}

// q = the words, weighted by theta. A thread per pixel, images along y.
extern "C" __global__ void attention_read(const float *theta, const float *words, const uint8_t *mask, float *q, int b, int c, int t, size_t n) {
    const size_t pixel = thread_number();
    for (int image = blockIdx.y; image < b; image += gridDim.y) {
        const Words of_image{words + size_t(image) * c * t, mask + size_t(image) * t, c, t};
        product(of_image, true, theta + size_t(image) * t * n + pixel, q + size_t(image) * c * n + pixel, n, pixel < n);
    }
}

// Channels, words and pixels that are in shared memory at once for the words' gradient. A row has 4 more, for other banks.
#define CHANNELS 64
#define LANES 32
#define PIXELS 32
#define ROW (PIXELS + 4)

// Rows first to first + count of a map (rows, n), of pixels from to from + PIXELS, or 0 where there are none.
static __device__ void stage(float *to, int count, const float *map, int first, int rows, size_t from, size_t end, size_t n) {
    for (int i = threadIdx.x; i < count * PIXELS; i += THREADS) {
        const int row = i / PIXELS;
        const size_t pixel = from + i % PIXELS;
        to[row * ROW + i % PIXELS] = first + row < rows && pixel < end ? map[(first + row) * n + pixel] : 0;
    }
}

// sums[channel, word] = the sum of map[channel, pixel] weights[word, pixel] over pixels from to end. A warp has eight channels, a lane
// of it one word.
static __device__ void sum_over_pixels(const float *map, const float *weights, int c, int t, size_t from, size_t end, size_t n, float *sums) {
    constexpr int EACH = CHANNELS / (THREADS / LANES);
    __shared__ float4 of_map[CHANNELS * ROW / 4], of_words[LANES * ROW / 4];
    const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
    for (int channel = 0; channel < c; channel += CHANNELS)
        for (int word = 0; word < t; word += LANES) {
            double total[EACH] = {};
            for (size_t pixel = from; pixel < end; pixel += PIXELS) {
                __syncthreads(); // what was there has been read, and what the block wrote to memory can be read
                stage(reinterpret_cast<float *>(of_map), CHANNELS, map, channel, c, pixel, end, n);
                stage(reinterpret_cast<float *>(of_words), LANES, weights, word, t, pixel, end, n);
                __syncthreads();
                float sum[EACH] = {};
                for (int four = 0; four < PIXELS / 4; four++) {
                    const float4 weight = of_words[lane * (ROW / 4) + four];
#pragma unroll
                    for (int i = 0; i < EACH; i++) {
                        const float4 value = of_map[(warp * EACH + i) * (ROW / 4) + four];
                        sum[i] += value.x * weight.x + value.y * weight.y + value.z * weight.z + value.w * weight.w;
                    }
                }
#pragma unroll
                for (int i = 0; i < EACH; i++) total[i] += sum[i];
            }
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                const int row = channel + warp * EACH + i;
                if (row < c && word + lane < t) sums[size_t(row) * t + word + lane] = total[i];
            }
        }
}

// The pixels of a block: a part of an image, of whole tiles of THREADS pixels.
struct Part {
    size_t from, end;
};
static __device__ Part part_of(size_t n) {
    const size_t tiles = (n + THREADS - 1) / THREADS, each = (tiles + gridDim.x - 1) / gridDim.x * THREADS;
    return {min(blockIdx.x * each, n), min((blockIdx.x + 1) * each, n)};
}

// Gradients of attention_read: d_theta, and for each part of each image a share of that of the words, (b, parts, c, t). Parts along
// x, images along y. A null pointer says that a gradient is not wanted.
extern "C" __global__ void attention_read_backward(const float *theta, const float *words, const uint8_t *mask, const float *dq, float *d_theta, float *shares,
                                                   int b, int c, int t, size_t n) {
    const Part part = part_of(n);
    for (int image = blockIdx.y; image < b; image += gridDim.y) {
        const Words of_image{words + size_t(image) * c * t, mask + size_t(image) * t, c, t};
        const float *of_q = dq + size_t(image) * c * n;
        const size_t weights = size_t(image) * t * n;
        for (size_t first = part.from; d_theta && first < part.end; first += THREADS) {
            const size_t pixel = first + threadIdx.x;
            product(of_image, false, of_q + pixel, d_theta + weights + pixel, n, pixel < part.end);
        }
        const size_t share = (size_t(image) * gridDim.x + blockIdx.x) * c * t;
        if (shares) sum_over_pixels(of_q, theta + weights, c, t, part.from, part.end, n, shares + share);
    }
}

// Gradients of attention_theta: d_scores, which are of use here alone, dh and shares of the words' as above.
extern "C" __global__ void attention_theta_backward(const float *h, const float *words, const uint8_t *mask, const float *theta, const float *d_theta,
                                                    float *d_scores, float *dh, float *shares, int b, int c, int t, size_t n) {
    const Part part = part_of(n);
    for (int image = blockIdx.y; image < b; image += gridDim.y) {
        const Words of_image{words + size_t(image) * c * t, mask + size_t(image) * t, c, t};
        const size_t weights = size_t(image) * t * n, map = size_t(image) * c * n;
        for (size_t first = part.from; first < part.end; first += THREADS) {
            const size_t pixel = first + threadIdx.x, at = weights + pixel;
            const bool inside = pixel < part.end;
            if (inside) {
                float mean = 0;
                for (int word = 0; word < t; word++) mean += theta[at + word * n] * d_theta[at + word * n];
                for (int word = 0; word < t; word++) d_scores[at + word * n] = theta[at + word * n] * (d_theta[at + word * n] - mean);
            }
            if (dh) product(of_image, true, d_scores + at, dh + map + pixel, n, inside);
        }
        const size_t share = (size_t(image) * gridDim.x + blockIdx.x) * c * t;
        if (shares) sum_over_pixels(h + map, d_scores + weights, c, t, part.from, part.end, n, shares + share);
    }
}

// The words' gradient from the shares of an image's parts: none for padding. A thread per value.
extern "C" __global__ void attention_words(const float *shares, const uint8_t *mask, float *dw, int parts, int b, int c, int t) {
    const size_t i = thread_number(), words = size_t(c) * t;
    if (i >= b * words) return;
    double sum = 0;
    for (int part = 0; part < parts; part++) sum += shares[(i / words * parts + part) * words + i % words];
    dw[i] = mask[i / words * t + i % t] ? 0 : sum;
}
