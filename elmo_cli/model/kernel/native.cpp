// An LSTM layer over a window of steps, for some rows of a batch in one direction: forward, inference, backward.
//
//     i, j, f, o = x_t W_x + h W_h + b
//     c = clip(sigmoid(f) c + sigmoid(i) tanh(j))        h = clip((sigmoid(o) tanh(c)) W_p)
//
// x_t W_x comes in: one product for all steps, made before. So do the bias with the forget bias in it. The arithmetic
// is that of naive.py. Rows do not know each other, so threads share them out without waiting for one another, and the
// sums of a row are the same bits whichever rows stand beside it.
//
// A step is done tile by tile: the product for LANES cells of all four gates stays in registers until the cells, the
// outputs and what the backward pass needs are written. Matrices come packed in panels of 4 LANES columns, the order in
// which the products read them. Their elements E, and all that meets them, are float, or bfloat16 where the processor
// multiplies pairs of those: a vector at a time (AVX512_BF16), or a tile of 16 rows (AMX), which is several times as
// fast. Sums, cells and pointwise work are float.
//
// T steps, B rows, D cells, P outputs (= D without a projection); D, P and the size of x are multiples of LANES.
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif
#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define TILES
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

// As many rows as keep 4 sums each, a panel's four vectors and one element of A in the registers there are.
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 6;
#else
constexpr int LANES = 8, ROWS = 3;
#endif
constexpr int64_t ROUND_BYTES = 1 << 18;  // of the second-level cache, beside a panel
typedef float Floats __attribute__((vector_size(LANES * 4)));
typedef uint32_t Words __attribute__((vector_size(LANES * 4)));
typedef uint16_t Halves __attribute__((vector_size(LANES * 2)));
typedef uint16_t bfloat16;

inline Floats splat(float x) { return x - Floats{}; }
inline Floats least(Floats a, Floats b) { return a < b ? a : b; }
inline Floats most(Floats a, Floats b) { return a > b ? a : b; }
inline Floats clip(Floats x, float bound) { return most(least(x, splat(bound)), splat(-bound)); }
// A gradient passes where the value was not clipped.
inline Floats unclipped(Floats gradient, Floats value, float bound) {
  return ((value < splat(bound)) & (value > splat(-bound))) ? gradient : Floats{};
}

inline Floats load(const float *from) { Floats x; memcpy(&x, from, sizeof x); return x; }
inline void store(float *to, Floats x) { memcpy(to, &x, sizeof x); }
inline Floats load(const bfloat16 *from) {
  Halves halves; memcpy(&halves, from, sizeof halves);
  Words words = __builtin_convertvector(halves, Words) << 16;
  Floats x; memcpy(&x, &words, sizeof x); return x;
}
#if defined(__AVX512BF16__)
inline void store(bfloat16 *to, Floats x) {
  __m256bh halves = _mm512_cvtneps_pbh((__m512)x); memcpy(to, &halves, sizeof halves);
}
#endif
#if defined(__AVX512F__)
// 1 / (1 + 2^y), with 2^y from a polynomial of the fraction. For float products to a float's precision, the quotient
// from 14 bits and one step of Newton; what is rounded to bfloat16 next does with less of both.
template <class E> inline Floats one_to_one_plus_power(Floats y) {
  const bool exact = sizeof(E) == 4;
  if (exact) y = least(y, splat(126.0f));  // Newton's step knows no infinity
  const __m512 whole = _mm512_roundscale_ps((__m512)y, 0), r = _mm512_sub_ps((__m512)y, whole);
  __m512 p;
  if (exact) {  // to 7.5e-8
    p = _mm512_fmadd_ps(_mm512_set1_ps(1.32764562e-3f), r, _mm512_set1_ps(9.67554096e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.55071341e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.40221202e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.93146944e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.00000012f));
  } else {  // to 7.5e-5
    p = _mm512_fmadd_ps(_mm512_set1_ps(5.51715344e-2f), r, _mm512_set1_ps(2.42611110e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.93261027e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.99928057e-1f));
  }
  __m512 sum = _mm512_add_ps(_mm512_scalef_ps(p, whole), _mm512_set1_ps(1.0f));
  __m512 quotient = _mm512_rcp14_ps(sum);
  if (exact) quotient = _mm512_mul_ps(quotient, _mm512_fnmadd_ps(sum, quotient, _mm512_set1_ps(2.0f)));
  return (Floats)quotient;
}
template <class E> inline Floats sigmoid_of(Floats x) { return one_to_one_plus_power<E>(x * -1.44269504f); }
template <class E> inline Floats tanh_of(Floats x) { return one_to_one_plus_power<E>(x * -2.88539008f) * 2.0f - 1.0f; }
#else
// A minimax rational of degrees 13 and 6, to some 3e-7; beyond 7.9 a float cannot tell tanh from 1.
template <class E> inline Floats tanh_of(Floats x) {
  x = clip(x, 7.90531f);
  Floats s = x * x;
  Floats p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = p * s + -8.60467152213735e-11f;
  p = p * s + 5.12229709037114e-08f;
  p = p * s + 1.48572235717979e-05f;
  p = p * s + 6.37261928875436e-04f;
  p = p * s + 4.89352455891786e-03f;
  Floats q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = q * s + 2.26843463243900e-03f;
  q = q * s + 4.89352518554385e-03f;
  return x * p / q;
}
template <class E> inline Floats sigmoid_of(Floats x) { return tanh_of<E>(x * 0.5f) * 0.5f + 0.5f; }
#endif

// How many rows are multiplied at once. Blocks of a tile's TILE_ROWS may be smaller: `size` says what they have, the
// other blocks have as many as their type says.
constexpr int TILE_ROWS = 16;
template <class E> constexpr bool in_tiles = false;
#if defined(TILES)
template <> constexpr bool in_tiles<bfloat16> = true;
#endif
template <class E> constexpr int block = in_tiles<E> ? TILE_ROWS : ROWS;
template <int R> inline bool is_over(int r, int64_t size) { return R == TILE_ROWS && r >= size; }

// sums += R rows of A times a packed panel (k x 4 LANES). The rows of A stand `down` apart, what is multiplied at once
// (of bfloat16 a pair) `along`.
template <int R>
inline void multiply(const float *a, ptrdiff_t down, const float *panel, int64_t k, int64_t, Floats (&sums)[R][4],
                     ptrdiff_t along = 1) {
  for (int64_t at = 0; at < k; at++, a += along, panel += 4 * LANES) {
    Floats b0 = load(panel), b1 = load(panel + LANES), b2 = load(panel + 2 * LANES), b3 = load(panel + 3 * LANES);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      Floats x = splat(a[r * down]);
      sums[r][0] += x * b0;
      sums[r][1] += x * b1;
      sums[r][2] += x * b2;
      sums[r][3] += x * b3;
    }
  }
}
#if defined(TILES)
// The shape of this thread's tile registers: sums 0 to 3, then A 4 and B 5 of 32 elements of the inner size, A 6 and B 7
// of what is left of it. Others change them between two calls, so that each call begins without one.
thread_local struct { int64_t rows, rest; } shape;

inline void shape_tiles(int64_t rows, int64_t rest) {
  if (shape.rows == rows && shape.rest == rest) return;
  struct alignas(64) { uint8_t palette, start, zeros[14]; uint16_t bytes[16]; uint8_t rows[16]; } config = {};
  config.palette = 1;
  for (int tile = 0; tile < 8; tile++) {
    config.rows[tile] = (uint8_t)(tile == 5 ? 16 : tile == 7 ? rest / 2 : rows);
    config.bytes[tile] = (uint16_t)(tile == 6 ? rest * 2 : 64);
  }
  if (!rest) config.rows[6] = config.rows[7] = 0, config.bytes[6] = config.bytes[7] = 0;
  asm volatile("" ::: "memory");  // the intrinsics do not tell the compiler what they read
  _tile_loadconfig(&config);
  shape = {rows, rest};
}

inline void multiply(const bfloat16 *a, ptrdiff_t down, const bfloat16 *panel, int64_t k, int64_t size,
                     Floats (&sums)[TILE_ROWS][4], ptrdiff_t along = 32) {
  shape_tiles(size, k % 32);
  asm volatile("" ::: "memory");
#define EACH_GATE(DO) DO(0); DO(1); DO(2); DO(3);
#define LOAD(G) _tile_loadd(G, &sums[0][G], sizeof sums[0])
#define ADD(G) _tile_loadd(5, panel + 2 * LANES * G, 16 * LANES); _tile_dpbf16ps(G, 4, 5)
#define ADD_REST(G) _tile_loadd(7, panel + 2 * LANES * G, 16 * LANES); _tile_dpbf16ps(G, 6, 7)
#define STORE(G) _tile_stored(G, &sums[0][G], sizeof sums[0])
  EACH_GATE(LOAD)
  for (; k >= 32; k -= 32, a += along, panel += 32 * 4 * LANES) {
    _tile_loadd(4, a, down * 2);
    EACH_GATE(ADD)
  }
  if (k) {
    _tile_loadd(6, a, down * 2);
    EACH_GATE(ADD_REST)
  }
  EACH_GATE(STORE)
#undef EACH_GATE
#undef LOAD
#undef ADD
#undef ADD_REST
#undef STORE
}
#elif defined(__AVX512BF16__)
template <int R>
inline void multiply(const bfloat16 *a, ptrdiff_t down, const bfloat16 *panel, int64_t k, int64_t, Floats (&sums)[R][4],
                     ptrdiff_t along = 2) {
  for (int64_t at = 0; at < k; at += 2, a += along, panel += 8 * LANES) {
    __m512bh b[4];
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) b[g] = (__m512bh)_mm512_loadu_si512(panel + 2 * LANES * g);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      int32_t pair; memcpy(&pair, a + r * down, 4);
      __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
      for (int g = 0; g < 4; g++) sums[r][g] = (Floats)_mm512_dpbf16_ps((__m512)sums[r][g], x, b[g]);
    }
  }
}
#endif

}  // namespace

// What a call works on. Rows stand in the order of their lengths, longest first, and step t has those that are not over:
// n = offsets[t + 1] - offsets[t] of them, at offsets[t] of whatever is kept by steps, N cells in all.
template <class E> struct Window {
  int64_t steps, batch, cells, outputs, projected, kept;  // kept: what the backward pass needs
  int64_t first, last;                                    // rows of this call
  float cell_clip, output_clip;
  const int64_t *offsets;      // (T + 1)
  const uint8_t *begins;       // (T, B): 1 where a step begins a sentence; null: nowhere
  const E *recurrent_matrix;   // packed (P, 4D); backward (4D, P)
  const E *projection_matrix;  // packed (D, P); backward (P, D); null without a projection, like all that is projected
  const E *inputs;             // (N, 4D) x W_x
  const float *bias;           // (4D)
  float *hidden;               // (N, P)
  E *recurrent;                // kept (N, P), else (2, B, P): what meets the recurrent matrix at a step, the first given
  float *cell;                 // kept (B + N, D), else (B, D): the first B given
  E *gates;                    // kept (N, 4D), else null
  E *unprojected;              // kept (N, D), else (B, D)
  // backward only; the last two begin with the gradients of the final state, and end with those of the initial one
  const float *upstream;       // (N, P) gradients of the hidden states from outside
  E *gate_gradients;           // (N, 4D)
  E *projected_gradients;      // (N, P)
  float *following;            // (B, P) from the step that follows
  float *cell_gradient;        // (B, D)

  int64_t end(int64_t t) const {
    const int64_t rows = offsets[t + 1] - offsets[t];
    return rows < last ? rows : last;
  }
  bool goes_on(int64_t t, int64_t row) const { return t + 1 < steps && row < offsets[t + 2] - offsets[t + 1]; }
  bool begins_at(int64_t t, int64_t row) const { return begins && begins[t * batch + row]; }
  int64_t cell_before(int64_t t) const { return !kept || t == 0 ? 0 : batch + offsets[t - 1]; }
  int64_t cell_after(int64_t t) const { return kept ? batch + offsets[t] : 0; }
  E *recurrent_at(int64_t t) const { return recurrent + (kept ? offsets[t] : (t & 1) * batch) * outputs; }
  E *unprojected_at(int64_t t) const { return unprojected + (kept ? offsets[t] : 0) * cells; }
};

namespace {

// An output goes where it is read: to the layer above, and to the row's next step unless that begins a sentence.
template <class E> inline void give_out(const Window<E> &w, int64_t t, int64_t row, int64_t column, Floats output) {
  store(w.hidden + (w.offsets[t] + row) * w.outputs + column, output);
  if (w.goes_on(t, row))
    store(w.recurrent_at(t + 1) + row * w.outputs + column, w.begins_at(t + 1, row) ? Floats{} : output);
}

// LANES cells of R rows: all gates, the cells, and without a projection the outputs.
template <class E, int R> inline void cells_forward(const Window<E> &w, int64_t t, int64_t d, int64_t row, int64_t size) {
  const int64_t D = w.cells, P = w.outputs, at = w.offsets[t] + row;
  const float *before = w.cell + (w.cell_before(t) + row) * D + d;
  float *after = w.cell + (w.cell_after(t) + row) * D + d;
  Floats sums[R][4];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
      if (is_over<R>(r, size)) break;
      sums[r][g] = load(w.inputs + (at + r) * 4 * D + g * D + d) + load(w.bias + g * D + d);
    }
  multiply(w.recurrent_at(t) + row * P, P, w.recurrent_matrix + d * 4 * P, P, size, sums);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    if (is_over<R>(r, size)) break;
    Floats i = sigmoid_of<E>(sums[r][0]), j = tanh_of<E>(sums[r][1]);
    Floats f = sigmoid_of<E>(sums[r][2]), o = sigmoid_of<E>(sums[r][3]);
    if (w.begins_at(t, row + r)) f = Floats{};  // nor does the gradient pass then
    Floats cell = clip(f * load(before + r * D) + i * j, w.cell_clip);
    Floats output = o * tanh_of<E>(cell);
    store(after + r * D, cell);
    if (w.kept) {
      E *gates = w.gates + (at + r) * 4 * D + d;
      store(gates, i);
      store(gates + D, j);
      store(gates + 2 * D, f);
      store(gates + 3 * D, o);
    }
    if (w.projected)
      store(w.unprojected_at(t) + (row + r) * D + d, output);
    else
      give_out(w, t, row + r, d, output);
  }
}

// 4 LANES projected outputs of R rows.
template <class E, int R> inline void outputs_forward(const Window<E> &w, int64_t t, int64_t p, int64_t row, int64_t size) {
  Floats sums[R][4] = {};
  multiply(w.unprojected_at(t) + row * w.cells, w.cells, w.projection_matrix + p * w.cells, w.cells, size, sums);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
      if (is_over<R>(r, size)) break;
      if (p + g * LANES >= w.outputs) break;
      give_out(w, t, row + r, p + g * LANES, clip(sums[r][g], w.output_clip));
    }
}

// The gradient of a row's output at a step: from outside, and from the step that follows in the same sentence.
template <class E> inline void outputs_backward(const Window<E> &w, int64_t t, int64_t row) {
  const int64_t P = w.outputs, at = w.offsets[t] + row;
  const bool cut = w.goes_on(t, row) && w.begins_at(t + 1, row);
  float *following = w.following + row * P;
  for (int64_t p = 0; p < P; p += LANES) {
    Floats gradient = load(w.upstream + at * P + p);
    if (!cut) gradient += load(following + p);
    if (w.projected)
      store(w.projected_gradients + at * P + p, unclipped(gradient, load(w.hidden + at * P + p), w.output_clip));
    else
      store(following + p, gradient);
  }
}

// Gradients of the gates of 4 LANES cells of R rows, and of the cells before.
template <class E, int R> inline void cells_backward(const Window<E> &w, int64_t t, int64_t d, int64_t row, int64_t size) {
  const int64_t D = w.cells, P = w.outputs, at = w.offsets[t] + row;
  Floats sums[R][4] = {};
  if (w.projected) multiply(w.projected_gradients + at * P, P, w.projection_matrix + d * P, P, size, sums);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
      if (is_over<R>(r, size)) break;
      const int64_t column = d + g * LANES;
      if (column >= D) break;
      const E *gates = w.gates + (at + r) * 4 * D + column;
      Floats output = w.projected ? sums[r][g] : load(w.following + (row + r) * P + column);
      Floats i = load(gates), j = load(gates + D), f = load(gates + 2 * D), o = load(gates + 3 * D);
      Floats before = load(w.cell + (w.cell_before(t) + row + r) * D + column);
      Floats cell = load(w.cell + (w.cell_after(t) + row + r) * D + column), squashed = tanh_of<E>(cell);
      float *along = w.cell_gradient + (row + r) * D + column;
      Floats gradient = unclipped(load(along) + output * o * (1.0f - squashed * squashed), cell, w.cell_clip);
      E *out = w.gate_gradients + (at + r) * 4 * D + column;
      store(out, gradient * j * i * (1.0f - i));
      store(out + D, gradient * i * (1.0f - j * j));
      store(out + 2 * D, gradient * before * f * (1.0f - f));
      store(out + 3 * D, output * squashed * o * (1.0f - o));
      store(along, gradient * f);
    }
}

// The gradient that reaches 4 LANES outputs of R rows at the step before.
template <class E, int R> inline void recurrence_backward(const Window<E> &w, int64_t t, int64_t p, int64_t row, int64_t size) {
  const int64_t D = w.cells, P = w.outputs;
  Floats sums[R][4] = {};
  multiply(w.gate_gradients + (w.offsets[t] + row) * 4 * D, 4 * D, w.recurrent_matrix + p * 4 * D, 4 * D, size, sums);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
      if (is_over<R>(r, size)) break;
      if (p + g * LANES >= P) break;
      store(w.following + (row + r) * P + p + g * LANES, sums[r][g]);
    }
}

// WORK for the rows of step t, in blocks of nearly equal size.
#define FOR_ROWS(WORK)                                                                  \
  for (int64_t row = w.first, left = (end - row + block<E> - 1) / block<E>; left > 0; left--) { \
    const int64_t size = (end - row + left - 1) / left;                                 \
    if constexpr (in_tiles<E>) { WORK(TILE_ROWS); }                                     \
    else switch (size) {                                                                     \
      case 1: WORK(1); break;                                                           \
      case 2: WORK(2); break;                                                           \
      case 3: WORK(3); break;                                                           \
      case 4: WORK((ROWS < 4 ? 1 : 4)); break;                                          \
      case 5: WORK((ROWS < 5 ? 1 : 5)); break;                                          \
      default: WORK(ROWS);                                                              \
    }                                                                                   \
    row += size;                                                                        \
  }

template <class E> void forward(const Window<E> &w) {
  for (int64_t t = 0; t < w.steps; t++) {
    const int64_t end = w.end(t);
    for (int64_t d = 0; d < w.cells; d += LANES) {
#define WORK(R) cells_forward<E, R>(w, t, d, row, size)
      FOR_ROWS(WORK)
#undef WORK
    }
    for (int64_t p = 0; w.projected && p < w.outputs; p += 4 * LANES) {
#define WORK(R) outputs_forward<E, R>(w, t, p, row, size)
      FOR_ROWS(WORK)
#undef WORK
    }
  }
}

template <class E> void backward(const Window<E> &w) {
  for (int64_t t = w.steps - 1; t >= 0; t--) {
    const int64_t end = w.end(t);
    for (int64_t row = w.first; row < end; row++) outputs_backward(w, t, row);
    for (int64_t d = 0; d < w.cells; d += 4 * LANES) {
#define WORK(R) cells_backward<E, R>(w, t, d, row, size)
      FOR_ROWS(WORK)
#undef WORK
    }
    for (int64_t p = 0; p < w.outputs; p += 4 * LANES) {
#define WORK(R) recurrence_backward<E, R>(w, t, p, row, size)
      FOR_ROWS(WORK)
#undef WORK
    }
  }
}

// R rows of A (width K) times a packed panel; the four vectors of the result stand `apart` from each other.
template <class E, int R>
inline void product_tile(const E *a, int64_t K, const E *panel, int64_t width, int64_t apart, int64_t left, E *out,
                         int64_t size) {
  Floats sums[R][4] = {};
  multiply(a, K, panel, K, size, sums);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
      if (is_over<R>(r, size)) break;
      if (g * apart >= left) break;
      store(out + r * width + g * apart, sums[r][g]);
    }
}

// A product over all steps at once: rows [first, last) of A (.. x K) times a packed matrix of `width` columns. The rows
// of a round stay in the cache while the panels pass by. A row's sums are the same bits however many there are.
template <class E>
void product(const E *a, int64_t K, const E *packed, int64_t width, bool gates, int64_t first, int64_t last, E *out) {
  const int64_t round = block<E> * (1 + ROUND_BYTES / (block<E> * (K + 1) * (int64_t)sizeof(E)));
  const int64_t apart = gates ? width / 4 : LANES, stride = gates ? LANES : 4 * LANES;
  struct { int64_t first; } w;
  for (w.first = first; w.first < last; w.first += round) {
    const int64_t end = w.first + round < last ? w.first + round : last;
    for (int64_t column = 0; column < (gates ? width / 4 : width); column += stride) {
      const E *panel = packed + column / stride * 4 * LANES * K;
#define WORK(R) product_tile<E, R>(a + row * K, K, panel, width, apart, width - column, out + row * width + column, \
                                  size)
      FOR_ROWS(WORK)
#undef WORK
    }
  }
}

// Two rows of a matrix as the products read them: LANES elements, of bfloat16 in pairs of one of either row.
inline void interleave(const float *upper, const float *, float *out) { memcpy(out, upper, LANES * 4); }
inline void interleave(const bfloat16 *upper, const bfloat16 *lower, bfloat16 *out) {
  Halves first, second = {};
  memcpy(&first, upper, sizeof first);
  if (lower) memcpy(&second, lower, sizeof second);
  Words pairs = __builtin_convertvector(first, Words) | __builtin_convertvector(second, Words) << 16;
  memcpy(out, &pairs, sizeof pairs);
}

// A matrix (K x N, N a multiple of LANES) in panels of 4 LANES columns, those of the last one filled up with zeros; for
// `gates` panel d has the cells [d, d + LANES) of each gate. An odd last row gets a row of zeros beside it.
template <class E> void pack(const E *matrix, int64_t K, int64_t N, bool gates, E *out) {
  constexpr int64_t pair = 4 / sizeof(E);
  for (int64_t panel = 0; panel < N; panel += 4 * LANES)
    for (int64_t k = 0; k < K; k += pair)
      for (int g = 0; g < 4; g++, out += pair * LANES) {
        const int64_t column = gates ? g * (N / 4) + panel / 4 : panel + g * LANES;
        if (column >= N) { memset((void *)out, 0, pair * LANES * sizeof(E)); continue; }
        const E *upper = matrix + k * N + column;
        interleave(upper, k + 1 < K ? upper + N : nullptr, out);
      }
}

// The same of the transposed matrix: of (N x K), K even. A pair of bfloat16 stands side by side there, like a float.
template <class E> void pack_transposed(const E *matrix, int64_t K, int64_t N, E *out) {
  constexpr int64_t pair = 4 / sizeof(E);
  const int64_t length = K / pair;
  for (int64_t panel = 0; panel < N; panel += 4 * LANES, out += 4 * LANES * K)
    for (int64_t n = 0; n < 4 * LANES; n += LANES)
      for (int64_t start = 0; start < length; start += LANES) {
        const int64_t end = start + LANES < length ? start + LANES : length;
        for (int64_t k = start; k < end; k++)
          for (int64_t lane = 0; lane < LANES; lane++) {
            uint32_t element = 0;
            if (panel + n < N) memcpy(&element, matrix + (panel + n + lane) * K + k * pair, 4);
            memcpy((void *)(out + (k * 4 * LANES + n + lane) * pair), &element, 4);
          }
      }
}

// The left side A (K x N) of a gradient of weights, A^T G: in panels, or for tiles in strips of 16 columns, transposed:
// tile after tile of 16 rows of 32 steps, those beyond K zeros.
template <class E> void pack_left(const E *matrix, int64_t K, int64_t N, E *out) { pack(matrix, K, N, false, out); }
#if defined(TILES)
template <> void pack_left(const bfloat16 *matrix, int64_t K, int64_t N, bfloat16 *out) {
  for (int64_t column = 0; column < N; column += LANES)
    for (int64_t start = 0; start < K; start += 32, out += 32 * LANES) {
      uint32_t pairs[16][LANES] = {};
      for (int64_t k = start; k < K && k < start + 32; k += 2) {
        const bfloat16 *upper = matrix + k * N + column;
        interleave(upper, k + 1 < K ? upper + N : nullptr, (bfloat16 *)pairs[(k - start) / 2]);
      }
      for (int row = 0; row < LANES; row++)
        for (int pair = 0; pair < 16; pair++) memcpy(out + row * 32 + pair * 2, &pairs[pair][row], 4);
    }
}
#endif

// R columns of a packed left side, transposed, times a panel of another: 4 LANES columns of a gradient of weights.
template <class E, int R>
inline void gradient_tile(const E *a, int64_t K, int64_t top, int64_t row, const E *panel, int64_t width, int64_t left,
                          float *out, int64_t size) {
  constexpr int64_t pair = 4 / sizeof(E);
  Floats sums[R][4] = {};
  if constexpr (in_tiles<E>)
    multiply(a + row * ((K + 31) / 32 * 32), 32, panel, K, size, sums, 32 * TILE_ROWS);
  else
    multiply(a + top * K + (row - top) * pair, pair, panel, K, size, sums, 4 * LANES * pair);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
      if (is_over<R>(r, size)) break;
      if (g * LANES >= left) break;
      store(out + (row + r) * width + g * LANES, sums[r][g]);
    }
}

// A^T G, summed over K steps: of the packed A (K x height) and G (K x width), rows [first, last) of the result; `first`
// is a multiple of 4 LANES. K is even for bfloat16.
template <class E>
void weight_gradient(const E *a, int64_t K, const E *packed, int64_t width, int64_t first, int64_t last, float *out) {
  struct { int64_t first; } w;
  for (int64_t column = 0; column < width; column += 4 * LANES)
    for (int64_t top = first; top < last; top += 4 * LANES) {
      const int64_t end = top + 4 * LANES < last ? top + 4 * LANES : last;
      w.first = top;
#define WORK(R) gradient_tile<E, R>(a, K, top, row, packed + column * K, width, width - column, out + column, size)
      FOR_ROWS(WORK)
#undef WORK
    }
}

// The sum of the rows of a matrix (K x N, N a multiple of 4 LANES).
template <class E> void sum_rows(const E *matrix, int64_t K, int64_t N, float *out) {
  for (int64_t n = 0; n < N; n += 4 * LANES) {
    Floats sums[4] = {};
    for (int64_t k = 0; k < K; k++)
#pragma GCC unroll 4
      for (int g = 0; g < 4; g++) sums[g] += load(matrix + k * N + n + g * LANES);
    memcpy(out + n, sums, sizeof sums);
  }
}

// A call's hold on the tile registers of its thread, of which torch makes use between two calls.
struct Hold {
#if defined(TILES)
  Hold() { shape = {-1, -1}; }
  ~Hold() { if (shape.rows >= 0) _tile_release(); }
#else
  Hold() {}
#endif
};

}  // namespace

#define EXPORT(NAME, E)                                                                                               \
  extern "C" void forward_##NAME(const Window<E> *w) { Hold hold; forward(*w); }                                      \
  extern "C" void backward_##NAME(const Window<E> *w) { Hold hold; backward(*w); }                                    \
  extern "C" void product_##NAME(const E *a, int64_t k, const E *packed, int64_t width, int64_t gates, int64_t first, \
                                 int64_t last, E *out) {                                                              \
    Hold hold;                                                                                                        \
    product(a, k, packed, width, gates, first, last, out);                                                            \
  }                                                                                                                   \
  extern "C" void pack_##NAME(const E *m, int64_t k, int64_t n, int64_t gates, E *out) { pack(m, k, n, gates, out); } \
  extern "C" void pack_left_##NAME(const E *m, int64_t k, int64_t n, E *out) { pack_left(m, k, n, out); }             \
  extern "C" void pack_transposed_##NAME(const E *m, int64_t k, int64_t n, E *out) { pack_transposed(m, k, n, out); } \
  extern "C" void sum_rows_##NAME(const E *m, int64_t k, int64_t n, float *out) { sum_rows(m, k, n, out); }           \
  extern "C" void weight_gradient_##NAME(const E *a, int64_t k, const E *packed, int64_t width, int64_t first,        \
                                         int64_t last, float *out) {                                                  \
    Hold hold;                                                                                                        \
    weight_gradient(a, k, packed, width, first, last, out);                                                           \
  }

EXPORT(float32, float)
#if defined(__AVX512BF16__)
EXPORT(bfloat16, bfloat16)
#endif
extern "C" int64_t lanes() { return LANES; }
// Whether the system lets this process use what the functions were compiled for: Linux wants to be asked for tiles.
extern "C" int64_t allowed() {
#if defined(TILES)
  const long REQUEST = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#else
  return 1;
#endif
}
