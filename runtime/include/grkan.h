/* grkan.h: generated, tuned kernels for the activation of a GR-KAN layer (the Kolmogorov-Arnold
 * Transformer's group-rational function), forward and backward, on CPUs and CUDA devices.
 *
 *     y = P(x) / Q(x),   P(x) = a0 + a1 x + ... + am x^m
 *
 * with a P and a Q for each group of channels.
 *
 *     variant A: Q = 1 + sum |b_i| |x|^i        (every published KAT kernel)
 *     variant B: Q = 1 + |sum b_i x^i|, i >= 1  (the KAT paper's formula)
 *     variant C: Q = 0.1 + |sum b_i x^i|, i >= 0
 *     variant N: Q = 1 + sum b_i x^i            (has poles)
 *     variant S: Q = 1 + (sum b_i x^i)^2        (smooth, without poles)
 *
 * A minimal use, of x, y, dy and dx [rows, 768], a and da [8, 6], b and db [8, 4] (examples/layer.c
 * is the whole program):
 *
 *     grkan_context* context = NULL;
 *     grkan_plan* plan = NULL;
 *     grkan_problem problem;
 *     grkan_context_create(NULL, &context);
 *     grkan_problem_parse("p5q4-A-c768-g8-f32-last", &problem);
 *     grkan_plan_create(context, &problem, "cpu", GRKAN_DX | GRKAN_DA | GRKAN_DB, &plan);
 *     grkan_plan_prepare(plan, 1, 4096, 1, 1);  // compile now, not in the first call
 *
 *     size_t forward_bytes, backward_bytes;
 *     grkan_plan_workspace_size(plan, GRKAN_FORWARD, 1, &forward_bytes);
 *     grkan_plan_workspace_size(plan, GRKAN_BACKWARD, 1, &backward_bytes);
 *     size_t bytes = forward_bytes > backward_bytes ? forward_bytes : backward_bytes;
 *     void* workspace = aligned_alloc(64, bytes / 64 * 64 + 64);
 *
 *     grkan_forward(plan, &(grkan_forward_args){
 *         .size = sizeof(grkan_forward_args), .rows = rows, .x = x, .x_stride = 768,
 *         .y = y, .y_stride = 768, .a = a, .b = b,
 *         .workspace = workspace, .workspace_size = bytes});
 *     grkan_backward(plan, &(grkan_backward_args){
 *         .size = sizeof(grkan_backward_args), .rows = rows, .x = x, .x_stride = 768,
 *         .dy = dy, .dy_stride = 768, .dx = dx, .dx_stride = 768,
 *         .a = a, .b = b, .da = da, .db = db,
 *         .workspace = workspace, .workspace_size = bytes});
 *
 * Conventions
 *   - Every function but grkan_version, grkan_status_name and grkan_last_error returns a status;
 *     GRKAN_OK is 0. After any other status, grkan_last_error() says what was expected, what came
 *     and what to do. A function that fails has written nothing through its output arguments, and
 *     no tensor.
 *   - Every struct begins with its size in bytes; set it to sizeof. What a struct leaves zero takes
 *     its default. A size below the first version's, an unknown value of an enumeration, or bytes
 *     that are not zero past what this library knows are errors: nothing is ever ignored silently.
 *   - Enumerations travel as int32_t.
 *   - Any thread may call any function. A context, and a plan, may be used by several threads at
 *     once (each concurrent call with a workspace of its own); destroying is for one thread, after
 *     all calls have returned. Two contexts do not disturb each other.
 *   - No exception and no abort crosses this interface.
 */
#ifndef GRKAN_H_
#define GRKAN_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define GRKAN_API __attribute__((visibility("default")))
#else
#define GRKAN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- status and version */

typedef int32_t grkan_status;
enum {
  GRKAN_OK = 0,
  GRKAN_INVALID_ARGUMENT = 1, /* the call is wrong: the message names the field and both values */
  GRKAN_UNSUPPORTED = 2,      /* a right call that this build, device or compiler can't serve */
  GRKAN_OUT_OF_MEMORY = 3,
  GRKAN_NO_DEVICE = 4,      /* no such device, or no driver: the message says what was looked for */
  GRKAN_NO_COMPILER = 5,    /* a kernel is not in the cache and no compiler was found */
  GRKAN_COMPILE_FAILED = 6, /* a compiler refused a generated source */
  GRKAN_DEVICE_ERROR = 7,   /* a driver call failed: the message has its name and code */
  GRKAN_IO_ERROR = 8,       /* a file asked for by name could not be read or written */
  GRKAN_WRONG_ANSWER = 9,   /* a kernel is past its error bound */
  GRKAN_DISTURBED = 10,     /* a measurement was refused because the machine was busy */
  GRKAN_INTERNAL = 11       /* a defect of this library: please report it */
};

/* The version of this header. GRKAN_VERSION is one number to compare: 100 for 0.1.0, 10203 for
 * 1.2.3. */
#define GRKAN_VERSION_MAJOR 0
#define GRKAN_VERSION_MINOR 1
#define GRKAN_VERSION_PATCH 0
#define GRKAN_VERSION \
  (GRKAN_VERSION_MAJOR * 10000 + GRKAN_VERSION_MINOR * 100 + GRKAN_VERSION_PATCH)

/* The library's version, e.g. "0.1.0". Never fails; the text is static. */
GRKAN_API const char* grkan_version(void);

/* The name of a status as a word, e.g. "invalid_argument"; "unknown" for any other value. */
GRKAN_API const char* grkan_status_name(grkan_status status);

/* The message of this thread's last failed call ("" before any). Valid until this thread's next
 * call that fails. */
GRKAN_API const char* grkan_last_error(void);

/* The field or parameter, by its name in this header ("x_stride", "rows"), for which this thread's
 * last failed call was refused; "" where it was not one alone. The text is static. */
GRKAN_API const char* grkan_last_error_field(void);

/* ---------------------------------------------------------------- texts and bytes */

/* Filled by functions that hand out text or bytes. `data` ends with a 0 byte that `size` does not
 * count. Free it with grkan_text_free. */
typedef struct grkan_text {
  char* data;
  size_t size;
} grkan_text;

/* Frees the bytes and empties the struct. An empty struct, and NULL, are fine. */
GRKAN_API void grkan_text_free(grkan_text* text);

/* ---------------------------------------------------------------- problem */

enum {
  GRKAN_VARIANT_A = 1,
  GRKAN_VARIANT_B = 2,
  GRKAN_VARIANT_C = 3,
  GRKAN_VARIANT_N = 4,
  GRKAN_VARIANT_S = 5
};
enum { GRKAN_F32 = 1, GRKAN_F64 = 2, GRKAN_F16 = 3, GRKAN_BF16 = 4 };
enum { GRKAN_CHANNELS_LAST = 1, GRKAN_CHANNELS_FIRST = 2 };

/* What is computed, without its size.
 *   channels-last:  x is [rows, channels]          (leading dimensions flattened into rows)
 *   channels-first: x is [rows, channels, inner]   (rows is the batch; NCHW has inner = H * W)
 * Channels are split into contiguous groups of equal width. Numerator and denominator may have
 * different groupings (the Kolmogorov-Arnold Transformer shares one numerator: groups 1 and 8).
 *   a: [numerator_groups][numerator_degree + 1], a[g][i] multiplies x^i
 *   b: [denominator_groups][denominator_degree], b[g][0] multiplies x^1; variant C has
 *      denominator_degree + 1 of them, b[g][0] being the constant
 * Coefficients and their gradients are dense, of type f64 with f64 data and f32 with any other; or,
 * beside 16-bit data, of its type too. 16-bit data and coefficients are computed in f32. */
typedef struct grkan_problem {
  size_t size;                /* sizeof(grkan_problem) */
  int32_t numerator_degree;   /* 0 to 15 */
  int32_t denominator_degree; /* 0 to 15 */
  int32_t variant;            /* GRKAN_VARIANT_ */
  int32_t layout;             /* GRKAN_CHANNELS_ */
  int32_t x_type;             /* type of x and dx */
  int32_t y_type;   /* type of y and dy: 0 for x_type; f32 goes with f16 or bf16 either way */
  int64_t channels; /* 1 to 2^30 */
  int64_t numerator_groups;   /* divides channels; 1: shared by all, channels: one a channel */
  int64_t denominator_groups; /* divides channels */
  int32_t coefficient_type;   /* of a, b, da and db: 0: f64 with f64 data, else f32; or the 16-bit
                                 type   of the data */
  int32_t reserved;           /* 0 */
} grkan_problem;

/* Succeeds for a problem that a plan can be made of; else GRKAN_INVALID_ARGUMENT. */
GRKAN_API grkan_status grkan_problem_validate(const grkan_problem* problem);

/* Reads the printed form, e.g. "p5q4-A-c768-g1x8-f32:bf16-last": numerator and denominator degree,
 * variant, channels, numerator groups [x denominator groups], type of x [: type of y [: type of the
 * coefficients]], layout. The result is valid. */
GRKAN_API grkan_status grkan_problem_parse(const char* text, grkan_problem* problem);

/* Prints a valid problem; the inverse of parse. */
GRKAN_API grkan_status grkan_problem_print(const grkan_problem* problem, grkan_text* text);

/* ---------------------------------------------------------------- context */

/* What may be spent on a plan whose kernel was never tuned on this device. */
enum {
  GRKAN_EFFORT_DEFAULT = 0,   /* instant */
  GRKAN_EFFORT_NONE = 1,      /* the default schedule, compiled */
  GRKAN_EFFORT_INSTANT = 2,   /* the best stored winner, timed or predicted; else the default */
  GRKAN_EFFORT_QUICK = 3,     /* tune in grkan_plan_prepare, seconds a size */
  GRKAN_EFFORT_THOROUGH = 4,  /* minutes */
  GRKAN_EFFORT_EXHAUSTIVE = 5 /* every schedule of the space */
};

/* What is promised about the bits of da and db (y and dx never depend on it). */
enum {
  GRKAN_DETERMINISM_DEFAULT = 0,        /* run_to_run */
  GRKAN_DETERMINISM_NOT_GUARANTEED = 1, /* any order of summation */
  GRKAN_DETERMINISM_RUN_TO_RUN = 2,     /* same plan, same winner: same bits, for any threads */
  GRKAN_DETERMINISM_GPU_TO_GPU = 3      /* also across winners and devices of a kind */
};

enum {
  GRKAN_LOG_DEFAULT = 0, /* the environment's GRKAN_LOG, else warn */
  GRKAN_LOG_ERROR = 1,
  GRKAN_LOG_WARN = 2,
  GRKAN_LOG_INFO = 3,
  GRKAN_LOG_DEBUG = 4
};

/* Runs body(body_context, i) for every i in [0, count), on any threads, in any order, each exactly
 * once, and returns when all are done. */
typedef void (*grkan_parallel_for)(void* user, int64_t count,
                                   void (*body)(void* body_context, int64_t index),
                                   void* body_context);

/* Memory for tuning: at least `bytes`, aligned to 256, of the device ("cpu", "cuda:0"; CUDA device
 * memory for the latter). NULL: there is not so much; smaller sizes are then tried. */
typedef void* (*grkan_alloc)(void* user, const char* device, size_t bytes);
typedef void (*grkan_free)(void* user, const char* device, void* memory);

/* `message` is one line without its end; it is the callee's only during the call. Called from the
 * threads that call this library, never from within forward or backward of a prepared size. */
typedef void (*grkan_log)(void* user, int32_t level, const char* message);

/* How a context works. All fields may be zero. An option beats the environment, which is read once,
 * here: GRKAN_CACHE_DIR (else XDG_CACHE_HOME/grkan, else HOME/.cache/grkan), GRKAN_THREADS,
 * GRKAN_LOG (error, warn, info, debug), GRKAN_CUDA_DRIVER, GRKAN_NVRTC and GRKAN_COMPILER (paths of
 * libraries to open in place of libcuda.so.1, the newest NVRTC, and the libgrkan_compiler.so beside
 * this library). */
typedef struct grkan_context_options {
  size_t size;           /* sizeof(grkan_context_options) */
  const char* cache_dir; /* folder of winners and kernels; made when missing; NULL: environment */
  int32_t effort;        /* GRKAN_EFFORT_ */
  int32_t determinism;   /* GRKAN_DETERMINISM_ */
  int32_t threads;       /* of the context's own pool, or those that parallel_for has, 1 to 1024; 0:
                            one a processor. Winners of a CPU are for a number of threads */
  int32_t log_level;     /* GRKAN_LOG_ */
  size_t tune_memory;    /* most bytes that tuning may hold; 0: a quarter of what is free, at most
                            1 GiB */
  grkan_parallel_for parallel_for; /* NULL: the context's own pool */
  void* parallel_for_user;
  grkan_alloc alloc; /* with free, or neither; NULL: the library's own */
  grkan_free free;
  void* alloc_user;
  grkan_log log; /* NULL: standard error */
  void* log_user;
} grkan_context_options;

/* Owns what its plans share: loaded kernels, threads, the cache, open libraries. */
typedef struct grkan_context grkan_context;

/* Makes a context. `options` may be NULL. Opens no library and starts no thread. Errors: unknown
 * values, threads out of range, alloc without free. A cache folder that can't be written is not an
 * error: nothing is stored then. */
GRKAN_API grkan_status grkan_context_create(const grkan_context_options* options,
                                            grkan_context** context);

/* Destroys a context and all its kernels. Its plans must have been destroyed. NULL is fine. */
GRKAN_API grkan_status grkan_context_destroy(grkan_context* context);

/* ---------------------------------------------------------------- plan */

/* Gradients a plan can compute; or them together. */
enum { GRKAN_DX = 1, GRKAN_DA = 2, GRKAN_DB = 4 };

/* Directions. */
enum { GRKAN_FORWARD = 1, GRKAN_BACKWARD = 2 };

/* A problem on a device: forward, and backward for the gradients asked for. */
typedef struct grkan_plan grkan_plan;

/* Makes a plan.
 *   device     "cpu", "cuda:0", "cuda:1" ..., or a virtual GPU, which executes on the CPU:
 *              "virtual:h200" (models: grkan devices; its memory: grkan_cuda.h)
 *   gradients  GRKAN_DX | GRKAN_DA | GRKAN_DB: the ones that backward will compute; 0: no backward
 * Compiles nothing yet. Errors: an invalid problem, an unknown device, no driver (GRKAN_NO_DEVICE,
 * naming what was looked for and where). */
GRKAN_API grkan_status grkan_plan_create(grkan_context* context, const grkan_problem* problem,
                                         const char* device, int32_t gradients, grkan_plan** plan);

/* Destroys a plan. NULL is fine. Its kernels stay with the context (captured CUDA graphs may hold
 * on to them). */
GRKAN_API grkan_status grkan_plan_destroy(grkan_plan* plan);

/* Finds, compiles where the cache does not have them, and loads the kernels for every size with
 * rows in [rows_lo, rows_hi] and inner in [inner_lo, inner_hi] (1 and 1 for channels-last); with
 * effort quick and above, tunes what was never tuned. After it, calls with such sizes compile,
 * load, allocate and read nothing: they are safe in CUDA graph capture. May be called again for
 * other ranges. A call with a size that was not prepared prepares itself at first use, without
 * tuning. */
GRKAN_API grkan_status grkan_plan_prepare(grkan_plan* plan, int64_t rows_lo, int64_t rows_hi,
                                          int64_t inner_lo, int64_t inner_hi);

/* *prepared: 1 where a call of this size would compile, load and allocate nothing; else 0. */
GRKAN_API grkan_status grkan_plan_is_prepared(const grkan_plan* plan, int32_t direction,
                                              int64_t rows, int64_t inner, int32_t* prepared);

/* Bytes of workspace that every call of this plan in this direction (GRKAN_FORWARD or
 * GRKAN_BACKWARD) with inner up to `inner` (1 for channels-last) must bring. A bound over all rows
 * and all schedules that tuning may choose, so it never changes for a plan. May be 0. */
GRKAN_API grkan_status grkan_plan_workspace_size(const grkan_plan* plan, int32_t direction,
                                                 int64_t inner, size_t* bytes);

/* The same for calls of up to `rows` rows: at most as much, far less on a CPU where rows are few.
 * It never changes for a plan either, and never shrinks with more rows. */
GRKAN_API grkan_status grkan_plan_workspace_for_rows(const grkan_plan* plan, int32_t direction,
                                                     int64_t rows, int64_t inner, size_t* bytes);

/* Arguments of a call. Pointers are to the plan's device (host memory for "cpu").
 *
 * Strides, in elements: channels-last: from one row to the next, at least channels. channels-first:
 * from one batch entry to the next, at least channels * inner. What is inside is dense. A stride
 * may be anything when rows <= 1; 0 for x and dy means that all rows are one and the same.
 *
 * Alignment: each pointer to its element's size; to 64 bytes is fastest.
 *
 * Aliasing: y may be x (and dx may be dy) where the types and strides are equal: then the operation
 * is in place. Any other overlap of an output with an input, another output or the workspace is an
 * error. x and dy, a and b may overlap as they like.
 *
 * Null: with rows or inner 0, x, y, dx and dy may be NULL. So may a and b then, and b and db always
 * when the denominator has no coefficients. A gradient (dx, da, db) that is NULL is not computed;
 * one at least must not be. A gradient that the plan was not made for must be NULL. What
 * grkan_plan_prepare prepares are the plan's own gradients; fewer are prepared by their first call.
 *
 * Workspace: any contents, aligned to 64 bytes; one for each concurrent call. A smaller one than
 * grkan_plan_workspace_for_rows says is an error.
 *
 * Stream: a CUstream, in which everything is queued; NULL is the legacy default stream. Nothing is
 * synchronised, and errors of running kernels are the caller's to see. NULL on a CPU plan.
 *
 * Numbers: a NaN or infinity in an element of x (or dy) affects that element of y (or dx), and the
 * sums of its group, and nothing else. sign(x) is its sign bit's; sign(b) of variant A is +1 at 0.
 */
typedef struct grkan_forward_args {
  size_t size; /* sizeof(grkan_forward_args) */
  int64_t rows;
  int64_t inner; /* 1 (or 0, which stands for 1) for channels-last */
  const void* x;
  int64_t x_stride;
  void* y;
  int64_t y_stride;
  const void* a;
  const void* b;
  void* workspace;
  size_t workspace_size; /* bytes */
  void* stream;
  int32_t threads;  /* CPU: at most so many, the caller's among them; 0: all of the context's */
  int32_t reserved; /* 0 */
} grkan_forward_args;

typedef struct grkan_backward_args {
  size_t size; /* sizeof(grkan_backward_args) */
  int64_t rows;
  int64_t inner;
  const void* x; /* as in forward */
  int64_t x_stride;
  const void* dy; /* gradient of the loss by y, of y's type */
  int64_t dy_stride;
  void* dx; /* gradient by x, of x's type; NULL where the plan has no GRKAN_DX */
  int64_t dx_stride;
  const void* a;
  const void* b;
  void* da; /* as a, summed over all elements of a group; NULL where the plan has no GRKAN_DA */
  void* db;
  int32_t accumulate; /* 0: da = round(sum); 1: da = round(da + sum), db likewise */
  int32_t threads;    /* as in forward */
  void* workspace;
  size_t workspace_size;
  void* stream;
} grkan_backward_args;

/* y = P(x) / Q(x). rows = 0 writes nothing and succeeds. */
GRKAN_API grkan_status grkan_forward(grkan_plan* plan, const grkan_forward_args* args);

/* With g = dy, w = g / Q, v = -w y:   dx = w P'(x) + v Q'(x),  da_i = sum w x^i,
 * db_i = sum v dQ/db_i. rows = 0: da and db become zero, or stay when accumulating. */
GRKAN_API grkan_status grkan_backward(grkan_plan* plan, const grkan_backward_args* args);

/* ---------------------------------------------------------------- knowing and tuning */

/* Tells, as a JSON document, which kernel a call of this size would run, from which evidence
 * (measured, predicted, default), and what the compiler said of it. */
GRKAN_API grkan_status grkan_plan_explain(grkan_plan* plan, int32_t direction, int64_t rows,
                                          int64_t inner, grkan_text* json);

/* The same of a backward call that computes these of the plan's gradients alone. */
GRKAN_API grkan_status grkan_plan_explain_gradients(grkan_plan* plan, int32_t gradients,
                                                    int64_t rows, int64_t inner, grkan_text* json);

/* Told while a direction is tuned, from the thread that tunes: `done` of `total` candidates, and
 * the seconds left by estimate. Returns 0 to go on; anything else ends the tuning after the step
 * under way, with what was found so far. */
typedef int32_t (*grkan_progress)(void* user, int64_t done, int64_t total, double seconds_left);

typedef struct grkan_tune_options {
  size_t size;           /* sizeof(grkan_tune_options) */
  int64_t rows;          /* the size to tune at */
  int64_t inner;         /* 1 (or 0) for channels-last */
  int32_t direction;     /* GRKAN_FORWARD, GRKAN_BACKWARD, or both or-ed; 0: all of the plan */
  int32_t effort;        /* GRKAN_EFFORT_, quick and above; 0: quick */
  double budget_seconds; /* most time for each direction; 0: what the effort takes */
  int32_t strict;        /* 1: GRKAN_DISTURBED rather than store what a busy machine gave */
  int32_t gradients;     /* of backward, for calls that leave some out; 0: all of the plan */
  int64_t rows_hi;       /* 0: rows alone; else every size from rows to this one: tuned at several,
                            with a result for each stretch that has a winner of its own */
  grkan_progress progress; /* may be NULL */
  void* progress_user;
} grkan_tune_options;

/* Finds the fastest right schedule at a size, stores it, and uses it from now on in this plan, in
 * place of what was imported (other plans of this problem made later find it too). Runs on private
 * buffers only; takes seconds to minutes. `json` (may be NULL) gets the results as a list, each a
 * winner as the cache keeps it (`grkan cache show`). Other threads may go on calling. */
GRKAN_API grkan_status grkan_plan_tune(grkan_plan* plan, const grkan_tune_options* options,
                                       grkan_text* json);

/* What this plan chooses its schedules from, for every size and every subset of its gradients, as
 * bytes that another process takes: so the ranks of a parallel job run the same kernels, and so
 * their bits agree. */
GRKAN_API grkan_status grkan_plan_export(grkan_plan* plan, grkan_text* bytes);

/* Chooses from then on as the exporting plan does, whatever the own cache holds, until it imports
 * again or is tuned. Errors: bytes of another problem or architecture, or damaged ones. */
GRKAN_API grkan_status grkan_plan_import(grkan_plan* plan, const void* bytes, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* GRKAN_H_ */
