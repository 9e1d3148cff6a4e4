// Loops that each lean on one resource of a GPU (figures.cpp says which, and how they are timed).

// Every thread of every block the same: in each step 16 turns of four chains side by side. A turn
// changes a chain's value, and sees the next chain's.
template <class Turn>
__device__ __forceinline__ void four_chains(float* out, int steps, const Turn& turn) {
  float v[4] = {threadIdx.x + 1.5f, threadIdx.x + 2.5f, threadIdx.x + 3.5f, threadIdx.x + 4.5f};
#pragma unroll 1
  for (int i = 0; i < steps; ++i) {
#pragma unroll
    for (int k = 0; k < 16; ++k) {
#pragma unroll
      for (int c = 0; c < 4; ++c) turn(v[c], v[(c + 1) % 4]);
    }
  }
  out[threadIdx.x % 16] = v[0] + v[1] + v[2] + v[3];
}

extern "C" {

__global__ void nothing() {}

__global__ void fma_loop(float* out, int steps) {
  four_chains(out, steps, [](float& v, float) { v = fmaf(v, 0.999f, 0.5f); });
}

__global__ void reciprocal_loop(float* out, int steps) {
  four_chains(out, steps, [](float& v, float) {
    asm("rcp.approx.ftz.f32 %0, %0;" : "+f"(v));
    v += 1;  // the reciprocal of a reciprocal would be no work
  });
}

// Two f32 to a pair of bf16, as stores of 16-bit types do; each from the pair before. Nothing on
// GPUs without that instruction.
__global__ void convert_loop(float* out, int steps) {
  four_chains(out, steps, [](float& v, float next) {
#if __CUDA_ARCH__ >= 800
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(v), "f"(next));
    v = __uint_as_float(pair);
#endif
  });
}

// One thread follows a chain through memory, from where the last one stopped.
__global__ void chase(const unsigned* next, int steps, unsigned* out) {
  unsigned at = out[0];
#pragma unroll 1
  for (int i = 0; i < steps; ++i) at = __ldcg(next + at);
  out[0] = at;
}

// All blocks read `vectors` of 16 bytes from the start, `times` over; first-level caches passed by.
__global__ void read_again(const uint4* data, long long vectors, int times, uint4* out) {
  uint4 sum = {0, 0, 0, 0};
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (int t = 0; t < times; ++t) {
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < vectors;
         i += 4 * stride) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        if (i + k * stride >= vectors) continue;
        const uint4 v = __ldcg(data + i + k * stride);
        sum.x ^= v.x;
        sum.y ^= v.y;
        sum.z ^= v.z;
        sum.w ^= v.w;
      }
    }
  }
  if (sum.x == 12345 && sum.y == 54321) *out = sum;
}

__global__ void copy(const uint4* from, uint4* to, long long vectors) {
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < vectors;
       i += 4 * stride) {
    uint4 v[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (i + k * stride < vectors) v[k] = from[i + k * stride];
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (i + k * stride < vectors) to[i + k * stride] = v[k];
    }
  }
}

__global__ void triad(const uint4* x, const uint4* y, uint4* to, long long vectors) {
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < vectors;
       i += 2 * stride) {
    uint4 v[2], w[2];
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      if (i + k * stride >= vectors) continue;
      v[k] = x[i + k * stride];
      w[k] = y[i + k * stride];
    }
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      if (i + k * stride >= vectors) continue;
      to[i + k * stride] = {v[k].x ^ w[k].x, v[k].y ^ w[k].y, v[k].z ^ w[k].z, v[k].w ^ w[k].w};
    }
  }
}

// f32 additions in L2: `lanes` neighbouring words a warp, `apart` words from one warp's to the
// next one's, all within `words`.
__global__ void add_floats(float* sums, int lanes, int apart, int words, int steps) {
  const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  const long long at = static_cast<long long>(warp) * apart % words + threadIdx.x % 32 % lanes;
#pragma unroll 1
  for (int i = 0; i < steps; ++i) atomicAdd(sums + at, 1.0f);
}

// Clocks and nanoseconds of a thread's life.
__global__ void clock_rate(long long* out, int steps) {
  long long begin, end, c0 = clock64();
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  float a = threadIdx.x;
#pragma unroll 1
  for (int i = 0; i < steps; ++i) a = fmaf(a, 0.999f, 0.5f);
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(end));
  if (threadIdx.x == 0 && blockIdx.x == 0) {
    out[0] = clock64() - c0;
    out[1] = end - begin;
    out[2] = static_cast<long long>(a);
  }
}
}
