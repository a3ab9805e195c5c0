// Enough of CUDA to compile kernels as C++ and run them on the host, one block after the other.
#pragma once
#include <math.h>

#include <barrier>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static  // one block at a time

struct Dimensions {
    unsigned x, y, z;
};
static Dimensions gridDim, blockDim, blockIdx;
static thread_local Dimensions threadIdx;

static std::mutex atomic_lock;

template <class Real>
void atomicAdd(Real *to, Real value) {
    std::lock_guard<std::mutex> guard(atomic_lock);
    *to += value;
}

static std::unique_ptr<std::barrier<>> all_threads;

inline void __syncthreads() {
    if (all_threads) return all_threads->arrive_and_wait();
    std::fputs("a kernel with barriers needs the threads of a block to run at the same time\n", stderr);
    std::abort();
}

template <class Call>
void run_block(const Call &call, bool at_once) {
    const unsigned count = blockDim.x * blockDim.y * blockDim.z;
    const auto run = [&](unsigned n) {
        threadIdx = {n % blockDim.x, n / blockDim.x % blockDim.y, n / blockDim.x / blockDim.y};
        call();
    };
    if (!at_once) {
        for (unsigned n = 0; n < count; n++) run(n);
        return;
    }
    all_threads = std::make_unique<std::barrier<>>(count);
    std::vector<std::thread> threads;
    for (unsigned n = 0; n < count; n++) threads.emplace_back(run, n);
    for (auto &thread : threads) thread.join();
    all_threads.reset();
}

// Like cuLaunchKernel, with a pointer to each argument; -1 if a size differs from the parameter's.
template <class... Parameter, std::size_t... n>
int launch(void (*kernel)(Parameter...), std::index_sequence<n...>, void **arguments, const std::size_t *sizes,
           std::size_t count, const unsigned *grid, const unsigned *block, bool at_once) {
    if (count != sizeof...(n) || !((sizes[n] == sizeof(Parameter)) && ...)) return -1;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
                run_block([&] { kernel(*static_cast<Parameter *>(arguments[n])...); }, at_once);
    return 0;
}

template <class... Parameter>
auto positions_of(void (*)(Parameter...)) {
    return std::index_sequence_for<Parameter...>();
}

#define LAUNCHER(kernel)                                                                          \
    extern "C" int launch_##kernel(void **arguments, const std::size_t *sizes, std::size_t count, \
                                   const unsigned *grid, const unsigned *block, int at_once) {    \
        return launch(kernel, positions_of(kernel), arguments, sizes, count, grid, block, at_once); \
    }
