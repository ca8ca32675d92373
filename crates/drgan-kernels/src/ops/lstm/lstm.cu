// One step of LSTMs that advance together, after or before the product with the recurrent weight. A thread per value of a state.
#include "common.cuh"

// Which value a thread computes: of LSTM l of `lstms`, step s of `steps`, sequence b of `batch`, unit of `hidden`.
struct Place {
    size_t row, unit; // the row of gates and states
    size_t of_step;   // the row among those of this step
};
static __device__ Place place(int s, int steps, int batch, int hidden) {
    const size_t i = thread_number(), of_step = i / hidden;
    return {(of_step / batch * steps + s) * batch + of_step % batch, i % hidden, of_step};
}

static __device__ float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

// States and cells (l, s, b, hidden) of step s, and the activated gates (l, s, b, 4 hidden). `products` (l, b, 4 hidden) are those of
// the step before's states with the weight, a null pointer at the first step.
extern "C" __global__ void lstm_step(const float *gates, const float *products, float *activated, float *cells, float *states, int s, int lstms, int steps,
                                     int batch, int hidden) {
    if (thread_number() >= size_t(lstms) * batch * hidden) return;
    const Place at = place(s, steps, batch, hidden);
    float gate[4];
    for (int k = 0; k < 4; k++) {
        const size_t column = size_t(k) * hidden + at.unit;
        const float sum = gates[at.row * 4 * hidden + column] + (products ? products[at.of_step * 4 * hidden + column] : 0);
        gate[k] = k == 2 ? tanhf(sum) : sigmoid(sum);
        activated[at.row * 4 * hidden + column] = gate[k];
    }
    const size_t here = at.row * hidden + at.unit;
    const float cell = gate[0] * gate[2] + (s ? gate[1] * cells[here - size_t(batch) * hidden] : 0);
    cells[here] = cell;
    states[here] = gate[3] * tanhf(cell);
}

// The gradient of the gates of step s. `products` (l, b, hidden) are what the states' gradient gets from the step after, a null pointer at
// the last step; d_cells (l, b, hidden) is the cells' gradient, which goes from step to step.
extern "C" __global__ void lstm_step_backward(const float *activated, const float *cells, const float *d_states, const float *products, float *d_cells,
                                              float *d_gates, int s, int lstms, int steps, int batch, int hidden) {
    if (thread_number() >= size_t(lstms) * batch * hidden) return;
    const Place at = place(s, steps, batch, hidden);
    const size_t here = at.row * hidden + at.unit, first = at.row * 4 * hidden + at.unit, state = at.of_step * hidden + at.unit;
    float gate[4];
    for (int k = 0; k < 4; k++) gate[k] = activated[first + size_t(k) * hidden];
    const float shown = tanhf(cells[here]), before = s ? cells[here - size_t(batch) * hidden] : 0;
    const float d_state = d_states[here] + (products ? products[state] : 0);
    const float d_cell = d_state * gate[3] * (1 - shown * shown) + (products ? d_cells[state] : 0);
    d_cells[state] = d_cell * gate[1];
    const float slopes[4] = {d_cell * gate[2] * gate[0] * (1 - gate[0]), d_cell * before * gate[1] * (1 - gate[1]),
                             d_cell * gate[0] * (1 - gate[2] * gate[2]), d_state * shown * gate[3] * (1 - gate[3])};
    for (int k = 0; k < 4; k++) d_gates[first + size_t(k) * hidden] = slopes[k];
}
