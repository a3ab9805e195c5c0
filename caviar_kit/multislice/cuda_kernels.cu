// Point-wise work of the multislice engine on a batch of scan positions.
//
// Compiled with -DREAL=float or double and -DTHREADS=<threads per block, a power of two>; launched
// by cuda.py, which says what the arrays are. All are C-contiguous. Threads run along the pixels of
// a window, so that neighbours read neighbours; blockIdx.y and .z walk over the other axes with the
// stride of the grid, which may be shorter than they are.

typedef long long Index;  // arrays may hold more than 2^31 elements

struct alignas(2 * sizeof(REAL)) Complex {  // one load of 8 or 16 bytes
    REAL re, im;
};

__device__ inline Complex operator*(Complex a, Complex b) {
    return Complex{a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

__device__ inline Complex conj(Complex a) { return Complex{a.re, -a.im}; }

__device__ inline REAL squared(Complex a) { return a.re * a.re + a.im * a.im; }

__device__ inline void add_atomically(Complex *to, Complex value) {
#if __CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ * 100 + __CUDACC_VER_MINOR__ >= 1201
    if (sizeof(REAL) == sizeof(float)) {  // both parts in one transaction
        atomicAdd(reinterpret_cast<float2 *>(to), make_float2(value.re, value.im));
        return;
    }
#endif
    atomicAdd(&to->re, value.re);
    atomicAdd(&to->im, value.im);
}

__device__ inline int this_pixel() { return blockIdx.x * blockDim.x + threadIdx.x; }

// The object (states, slices, rows, columns) as one slice shows it through a window.
struct Window {
    int slices, rows, columns, slice, width;

    __device__ Index operator()(const int *corner, int state, int pixel) const {
        const Index row = corner[0] + pixel / width, column = corner[1] + pixel % width;
        return ((Index(state) * slices + slice) * rows + row) * columns + column;
    }
};

extern "C" __global__ void transmit(const Complex *incident, const Complex *__restrict__ transmission,
                                    const int *__restrict__ corners, Complex *out, int positions, int modes,
                                    int states, int incident_states, int slices, int rows, int columns,
                                    int slice, int pixels, int width) {
    const int pixel = this_pixel();
    const Window window = {slices, rows, columns, slice, width};
    if (pixel >= pixels) return;
    for (int p = blockIdx.z; p < positions; p += gridDim.z)
        for (int s = blockIdx.y; s < states; s += gridDim.y) {
            const int incident_s = s % incident_states;  // 0 if all states share the incident wave
            const Complex patch = transmission[window(corners + 2 * Index(p), s, pixel)];
            for (int m = 0; m < modes; m++) {
                const Index pm = Index(p) * modes + m;
                const Complex inward = incident[(pm * incident_states + incident_s) * pixels + pixel];
                out[(pm * states + s) * pixels + pixel] = inward * patch;
            }
        }
}

extern "C" __global__ void adjoint_transmit(Complex *wave, const Complex *__restrict__ transmission,
                                            const int *__restrict__ corners,
                                            const Complex *__restrict__ incident,
                                            Complex *object_gradient, int positions, int modes, int states,
                                            int incident_states, int slices, int rows, int columns, int slice,
                                            int pixels, int width) {
    const int pixel = this_pixel();
    const Window window = {slices, rows, columns, slice, width};
    if (pixel >= pixels) return;
    for (int p = blockIdx.z; p < positions; p += gridDim.z)
        for (int s = blockIdx.y; s < states; s += gridDim.y) {
            const int incident_s = s % incident_states;  // 0 if all states share the incident wave
            const Index here = window(corners + 2 * Index(p), s, pixel);
            const Complex patch = conj(transmission[here]);
            Complex sum = {0, 0};
            for (int m = 0; m < modes; m++) {
                const Index pm = Index(p) * modes + m;
                const Complex inward = incident[(pm * incident_states + incident_s) * pixels + pixel];
                Complex *const exit = wave + (pm * states + s) * pixels + pixel;
                const Complex value = *exit, term = value * conj(inward);
                *exit = value * patch;
                sum.re += term.re;
                sum.im += term.im;
            }
            add_atomically(object_gradient + here, sum);  // windows overlap
        }
}

// waves: modes × states of one position
extern "C" __global__ void propagate(const Complex *wave, const Complex *__restrict__ transfer, Complex *out,
                                     int positions, int waves, int transfers, int pixels, int conjugate) {
    const int pixel = this_pixel();
    if (pixel >= pixels) return;
    for (int p = blockIdx.z; p < positions; p += gridDim.z) {
        Complex factor = transfer[Index(p % transfers) * pixels + pixel];
        if (conjugate) factor = conj(factor);
        for (int w = blockIdx.y; w < waves; w += gridDim.y) {
            const Index here = (Index(p) * waves + w) * pixels + pixel;
            out[here] = wave[here] * factor;
        }
    }
}

extern "C" __global__ void residual_wave(const Complex *far, const REAL *__restrict__ residual, Complex *out,
                                         int positions, int waves, int pixels) {
    const int pixel = this_pixel();
    if (pixel >= pixels) return;
    for (int p = blockIdx.z; p < positions; p += gridDim.z) {
        const REAL factor = residual[Index(p) * pixels + pixel];
        for (int w = blockIdx.y; w < waves; w += gridDim.y) {
            const Index here = (Index(p) * waves + w) * pixels + pixel;
            const Complex value = far[here];
            out[here] = Complex{value.re * factor, value.im * factor};
        }
    }
}

extern "C" __global__ void add_intensity(const Complex *__restrict__ far, REAL *__restrict__ out,
                                         int positions, int waves, int pixels) {
    const int pixel = this_pixel();
    if (pixel >= pixels) return;
    for (int p = blockIdx.z; p < positions; p += gridDim.z) {
        REAL sum = 0;
        for (int w = 0; w < waves; w++) sum += squared(far[(Index(p) * waves + w) * pixels + pixel]);
        out[Index(p) * pixels + pixel] += sum;
    }
}

extern "C" __global__ void sum_states(const Complex *__restrict__ wave, Complex *__restrict__ out,
                                      int positions, int modes, int states, int pixels) {
    const int pixel = this_pixel();
    if (pixel >= pixels) return;
    for (int p = blockIdx.z; p < positions; p += gridDim.z)
        for (int m = blockIdx.y; m < modes; m += gridDim.y) {
            const Index pm = Index(p) * modes + m;
            Complex sum = {0, 0};
            for (int s = 0; s < states; s++) {
                const Complex value = wave[(pm * states + s) * pixels + pixel];
                sum.re += value.re;
                sum.im += value.im;
            }
            out[pm * pixels + pixel] = sum;
        }
}

// Losses: as in loss.py, with differences of nearly equal numbers taken before, not after, a root
// or a quotient. One block per position; the order of its sum is fixed.

struct Misfit {
    REAL value, derivative;
};

__device__ inline Misfit amplitude_misfit(REAL model, REAL data, REAL epsilon) {
    const REAL modelled = sqrt(model + epsilon), sum = modelled + sqrt(data + epsilon);
    const REAL difference = (model - data) / sum;  // of the two roots
    return Misfit{difference * difference, difference / modelled};
}

__device__ inline Misfit poisson_misfit(REAL model, REAL data, REAL epsilon) {
    const REAL counted = data + epsilon, modelled = model + epsilon, excess = model - data;
    const REAL ratio = modelled / counted;
    const REAL logarithm = ratio < REAL(0.5) ? log(ratio) : log1p(excess / counted);
    return Misfit{excess - counted * logarithm, excess / modelled};
}

__device__ inline void sum_block(double value, double *total) {
    __shared__ double partial[THREADS];
    partial[threadIdx.x] = value;
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    if (threadIdx.x == 0) *total = partial[0];
}

template <Misfit misfit(REAL, REAL, REAL)>
__device__ inline void sum_misfit(const REAL *model, const REAL *data, const REAL *weights, REAL epsilon,
                                  double *losses, REAL *residual, int pixels) {
    const Index start = Index(blockIdx.x) * pixels;
    double sum = 0;
    for (int pixel = threadIdx.x; pixel < pixels; pixel += THREADS) {
        const Misfit found = misfit(model[start + pixel], data[start + pixel], epsilon);
        const REAL weight = weights ? weights[pixel] : 1;
        sum += weight * found.value;
        residual[start + pixel] = weight * found.derivative;
    }
    sum_block(sum, losses + blockIdx.x);
}

extern "C" __global__ void amplitude_loss(const REAL *model, const REAL *__restrict__ data,
                                          const REAL *__restrict__ weights, REAL epsilon, double *losses,
                                          REAL *residual, int pixels) {
    sum_misfit<amplitude_misfit>(model, data, weights, epsilon, losses, residual, pixels);
}

extern "C" __global__ void poisson_loss(const REAL *model, const REAL *__restrict__ data,
                                        const REAL *__restrict__ weights, REAL epsilon, double *losses,
                                        REAL *residual, int pixels) {
    sum_misfit<poisson_misfit>(model, data, weights, epsilon, losses, residual, pixels);
}
