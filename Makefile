# seqbench: every command a person types. `make help` lists them.

CC ?= gcc
CXX ?= g++
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
MARCH ?= native
OPT ?= -O3
SAN ?=
LANES ?=
CHUNK ?=
OPENBLAS ?=
BLAS ?=
V ?= 0

GRID ?= default
KERNELS ?= seed
ENGINE ?= openblas,packed
PEERS ?= onednn,torch,onnxruntime
TESTS ?= tests
HEADS ?=
BATCH ?=
CPU ?=
OUT ?=
DOCS ?=
RUN ?= $(shell ls -d results/*/2*/samples.csv 2>/dev/null | grep -v ^results/roofs/ | sort -t/ -k3 | tail -n 1)
VARIANTS ?= fastest
PREFIX ?= /usr/local
DESTDIR ?=
ROOFS ?=
A ?=
B ?=
RUNS ?=

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif

# KERNELS by a word: the layers of the question (without peers), every layer, or those of the atlas.
globs_seed := rnn/*,rnn.*,lstm/*,!lstm/literal,!lstm/fused,lstm.*,transformer/*,transformer.*,roof/*
globs_all := *
globs_atlas := lstm/*,gru/*,transformer/*,roof/*,!*/literal,!*/fused
GLOBS = $(or $(globs_$(KERNELS)),$(KERNELS))

# Programs of other libraries, by name: scripts/peers/torch.py is torch. Others are built in.
programs_of = $(filter-out %.md %.json,$(wildcard scripts/peers/$1.*))
programs = $(addprefix --peers ,$(subst $(space),$(comma),$(strip $(foreach peer,$(subst $(comma), ,$(PEERS)),$(call programs_of,$(peer))))))

# What a person or the name of a folder says reaches the shell as data, in the environment.
# Options of seqbench that these give, one for each size of include/dims.def.
SIZES := S:-S H:-H HEADS:--heads BATCH:--batch INPUT:--input KV_HEADS:--kv-heads WINDOW:--window FFN_SIZE:--ffn-size
DATA := GRID $(foreach size,$(SIZES),$(firstword $(subst :, ,$(size)))) GLOBS ENGINE CPU OUT RUN VARIANTS ROOFS A B PREFIX DESTDIR
export $(DATA)

# Every layer takes longer than the budget of the grid: at most 25 minutes in all.
budget = $(if $(filter all,$(KERNELS)),--budget 1380)

comma := ,
space := $(subst ,, )
Q := $(if $(filter 0,$(V)),@)
BUILD_OF_ALL := build$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(BLAS),-$(BLAS))
BUILD := $(BUILD_OF_ALL)$(if $(LANES),-lanes$(LANES))$(if $(CHUNK),-chunk$(CHUNK))
# Asked when it is needed: `make deps bench` may install the compiler first.
MULTIARCH = $(shell $(CC) -print-multiarch 2>/dev/null)

# Debian's serial OpenBLAS by its path: every other way of naming it resolves to the threaded one.
ifeq ($(OPENBLAS),)
BLAS_INCLUDE = /usr/include/$(MULTIARCH)/openblas-serial
BLAS_DIR = /usr/lib/$(MULTIARCH)/openblas-serial
else
BLAS_INCLUDE := $(firstword $(wildcard $(OPENBLAS)/include/openblas) $(OPENBLAS)/include)
BLAS_DIR := $(OPENBLAS)/lib
endif

# A second BLAS beside OpenBLAS, whose engine is built when it is asked for. Both have functions named
# cblas_*: those of the library that is linked first are called, OpenBLAS's.
ifneq ($(filter-out blis,$(BLAS)),)
$(error BLAS=$(BLAS): the BLAS that can be built in beside OpenBLAS is blis)
endif
BLIS_DIR = /usr/lib/$(MULTIARCH)/blis-serial
BLIS_LIBS = $(if $(BLAS),$(BLIS_DIR)/libblis.so -Wl$(comma)-rpath$(comma)$(BLIS_DIR))

# A peer: its kernels are built where its header is found. ONEDNN= builds without it all the same.
hash := \#
ONEDNN ?= $(shell echo '$(hash)include <dnnl.h>' | $(CC) -E -x c - >/dev/null 2>&1 && echo found)
override ONEDNN := $(ONEDNN)
ONEDNN_LIBS := $(if $(ONEDNN),-ldnnl -lgomp)
EIGEN ?= $(shell echo '$(hash)include <eigen3/Eigen/Core>' | $(CXX) -E -x c++ - >/dev/null 2>&1 && echo found)
override EIGEN := $(EIGEN)

# The widths that the suite's own code can be built in: a float alone, and vectors of the CPU.
widest = $(shell $(CC) -march=$(MARCH) -dM -E -x c /dev/null | awk '/__AVX512F__/ {n = 16} \
    /__AVX__/ {if (!n) n = 8} END {print n ? n : 4}')
WIDTHS = $(foreach lanes,1 4 8 16,$(if $(filter $(lanes),$(shell seq $(widest))),$(lanes)))
ifneq ($(LANES),)
ifeq ($(filter $(LANES),$(WIDTHS)),)
$(error LANES=$(LANES): with MARCH=$(MARCH) a vector can hold $(strip $(WIDTHS)) floats)
endif
endif

CHUNKS := 16 32 64 128
ifneq ($(CHUNK),)
ifeq ($(filter $(CHUNK),$(CHUNKS)),)
$(error CHUNK=$(CHUNK): chunks have $(CHUNKS) tokens)
endif
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wcast-qual -Wwrite-strings -Wformat=2 \
            -Wdouble-promotion -Wfloat-conversion
C_WARNINGS := -Wstrict-prototypes -Wmissing-prototypes
# What is measured is decided in the code: contraction to FMA is asked for, nothing else is relaxed.
CODEGEN := $(OPT) -march=$(MARCH) -ffp-contract=fast -fno-math-errno -g \
           $(if $(LANES),-DSEQBENCH_LANES=$(LANES) -fno-tree-vectorize -fno-tree-slp-vectorize) \
           $(if $(CHUNK),-DSEQBENCH_CHUNK=$(CHUNK)) \
           $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
CPPFLAGS_ALL = -Iinclude -Ikernels -Ibench -I$(BUILD)/gen -I$(BLAS_INCLUDE) -MMD -MP $(CPPFLAGS)
CFLAGS_ALL := -std=gnu11 $(if $(BLAS),-DSEQBENCH_BLIS) $(if $(ONEDNN),-DSEQBENCH_ONEDNN) $(if $(EIGEN),-DSEQBENCH_EIGEN) $(CODEGEN) $(WARNINGS) $(C_WARNINGS) $(CFLAGS)
CXXFLAGS_ALL := -std=c++17 $(CODEGEN) $(WARNINGS) $(CXXFLAGS)
LIBS = $(BLAS_DIR)/libopenblas.so -Wl,--disable-new-dtags,-rpath,$(BLAS_DIR) $(BLIS_LIBS) \
        -lbenchmark -lhwloc -lcjson $(ONEDNN_LIBS) -lpthread -lm $(LDFLAGS)

OF_ONEDNN := $(filter-out kernels/peers/eigen%,$(wildcard kernels/peers/*.c))
OF_EIGEN := $(wildcard kernels/peers/eigen*.c*)
LEFT_OUT := $(if $(BLAS),,kernels/engines/blis.c) $(if $(ONEDNN),,$(OF_ONEDNN)) $(if $(EIGEN),,$(OF_EIGEN))
KERNEL_SOURCES := $(filter-out $(LEFT_OUT) %.cpp,$(wildcard kernels/*.c kernels/*/*.c))
BENCH_SOURCES := $(wildcard bench/*.c bench/*/*.c)
C_TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
CXX_SOURCES := bench/measure/timer.cpp $(filter-out $(LEFT_OUT),$(filter %.cpp,$(OF_EIGEN)))
OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(KERNEL_SOURCES) $(BENCH_SOURCES)) $(CXX_SOURCES:%.cpp=$(BUILD)/%.o)
TESTED_OBJECTS := $(filter-out $(BUILD)/bench/main.o,$(OBJECTS))

DEPS_GROUPS := deps-dev deps-arm deps-peers deps-blis deps-slurm deps-browser
.PHONY: all install uninstall check width chunks batch precision models stream stream-peers yardstick check-arm fuzz hog instructions peers planted report help deps $(DEPS_GROUPS) have-deps bench test csv plots predict answer docs share atlas trust compare aa format format-check clean FORCE
.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:

help: ## this list
	@echo 'make deps bench: install what is missing, time the default grid, print the answer'
	@echo 'make deps test:  install what is missing, run every test'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "  %-14s %s\n", $$1, $$2}'
	@echo
	@echo 'GRID=quick|default|peers|width|batch|precision|full|FILE   what to time: SeqLens, HidSizes, rounds'
	@echo 'KERNELS=seed|all|atlas|GLOB,...  ENGINE=all|NAME,...       ... of which kernels, by which engines'
	@echo 'S=LIST H=LIST HEADS=LIST BATCH=LIST  ... at these SeqLens and HidSizes, with so many heads and'
	@echo '                                     so many sequences at once'
	@echo 'INPUT=LIST                           ... with inputs of so many channels, of rnn, lstm and gru'
	@echo 'KV_HEADS=LIST  WINDOW=LIST           ... with so many heads of keys, or keys seen, of gpt, modern, decode'
	@echo 'FFN_SIZE=LIST                        ... with an FFN of so many channels, of modern and modern_decode'
	@echo 'CPU=n  OUT=dir                       ... on which core, into which folder'
	@echo 'RUN=dir      results folder for csv, plots, report and answer (the newest)'
	@echo 'VARIANTS=all  every variant in the figures   ROOFS=dir  a run whose roofs predict takes'
	@echo 'PEERS=onednn,torch,onnxruntime,eigen,ggml   libraries that peers and stream-peers set beside ours;'
	@echo '                                     ggml has decode and, in streams too, rwkv7, gated_deltanet and mamba'
	@echo 'A=dir B=dir RUNS=dirs   base, the run to compare with it, and more of them; OUT=dir where to'
	@echo 'MARCH=arch   instead of native        OPENBLAS=prefix   another OpenBLAS (serial)'
	@echo 'BLAS=blis    with an engine over BLIS beside that over OpenBLAS, in a build folder of its own'
	@echo 'ONEDNN= EIGEN=       without the kernels of these libraries, which are built where they are found'
	@echo 'CC= CXX= PYTHON=                      SAN=address,undefined   sanitizers, in a build folder of its own'
	@echo 'deps-dev, deps-arm, deps-peers, deps-blis, deps-slurm, deps-browser   deps, and what formatting and a'
	@echo '             second compiler, check-arm, peers, BLAS=blis, the test of scripts/slurm, that of the report need'
	@echo 'LANES=1|4|8|16       kernels of so many floats per vector, in a build folder of its own'
	@echo 'CHUNK=16|32|64|128   tokens that chunked forms of layers take at once, in the same way'
	@echo 'PREFIX=/usr/local  DESTDIR=dir   where install puts things, and below which folder of a packager'
	@echo 'V=1          show the commands'

all: have-deps $(BUILD)/seqbench ## build build/seqbench

DEPS = CC='$(CC)' CXX='$(CXX)' PYTHON='$(PYTHON)' OPENBLAS='$(OPENBLAS)' BLAS_INCLUDE='$(BLAS_INCLUDE)' scripts/deps

deps: ## install what is missing (apt; asks for root only then)
	@$(DEPS) install use $(BLAS)

# The same with a group of scripts/deps more.
$(DEPS_GROUPS): deps-%:
	@$(DEPS) install use $*

# After deps, when both are asked for at once.
have-deps: $(filter deps $(DEPS_GROUPS),$(MAKECMDGOALS))
	@$(DEPS) missing use $(BLAS)

on_core = $(if $(CPU),--cpu "$$CPU")
with_size = $(if $($(firstword $1)),$(lastword $1) "$$$(firstword $1)")
with_sizes = $(foreach size,$(SIZES),$(call with_size,$(subst :, ,$(size))))
what = $(strip -g "$$GRID" $(with_sizes) -k "$$GLOBS" --engine "$$ENGINE" $(on_core))

# make runs a line that calls make under -n too, unless the call stands in a variable.
then_make = $(MAKE) --no-print-directory

# beside: what a target of its own puts into the folder of the run before tables are made.
bench: all ## check, time the grid, write CSV, figures and one HTML page, print the answer
	$(Q)$(BUILD)/seqbench doctor --warnings $(on_core)
	$(Q)dir=$$($(BUILD)/seqbench run $(what) $(budget) $(if $(OUT),-o "$$OUT")) && $(beside) \
	    RUN="$$dir" $(then_make) OUT= RUNS= csv plots answer && echo && \
	    RUN="$$dir" $(then_make) OUT= RUNS= report && \
	    echo "Every sample, table and figure is in $$dir; one page of all of it:" && \
	    echo "$$dir/report.html"

# The folder that csv, plots and answer work on; RUN may name its samples.csv.
run_folder = "$${RUN%/samples.csv}"

csv: have-deps ## derive every table of RUN, or of each of RUNS, again
	$(Q)$(PYTHON) scripts/summarise.py $(or $(RUNS),$(run_folder))

plots: csv ## draw the figures of RUN again
	$(Q)$(PYTHON) scripts/plot.py --variants "$$VARIANTS" $(run_folder)

predict: $(if $(ROOFS),,all) csv ## time the roofs for half a minute, or take those of ROOFS; predict the grid of RUN
	$(Q)roofs=$${ROOFS:-$$($(BUILD)/seqbench run -k 'roof/*' --budget 30 $(on_core) \
	        -o "$${OUT:-results/roofs/$$(date -u +%Y%m%dT%H%M%SZ)}")} && \
	    $(PYTHON) scripts/summarise.py "$$roofs" && \
	    $(PYTHON) scripts/predict.py --roofs "$$roofs" $(if $(OUT),-o "$$OUT") $(run_folder)

report: have-deps ## write one HTML page of RUN, or of RUNS="dir dir ..." side by side (OUT=file)
	$(Q)$(PYTHON) scripts/report.py $(if $(OUT),-o "$$OUT") $(or $(RUNS),$(run_folder))

answer: csv ## print the tables and the answer of RUN
	$(Q)$(PYTHON) scripts/answer.py $(run_folder)

docs: have-deps ## write what runs say into README and results/*.md (DOCS="front=run machines=run+run")
	$(Q)$(PYTHON) scripts/docs.py . $(DOCS)

share: have-deps ## make of RUN the file that the atlas of CPUs takes, without names or paths, or say why not
	$(Q)$(PYTHON) scripts/share.py $(if $(OUT),-o "$$OUT") $(run_folder)

atlas: have-deps ## draw results/ATLAS.md and results/atlas/index.html from the files of results/atlas
	$(Q)$(PYTHON) scripts/atlas.py

trust: have-deps ## simulate how often the intervals of run A hold the truth, and compare with run B
	$(Q)$(if $(and $(A),$(B)),,$(error trust needs A=run-folder B=run-folder))\
	    $(PYTHON) scripts/trust.py "$$A" "$$B" -o "$${OUT:-results/trust}"

compare: have-deps ## compare run B (and RUNS) with run A, case by case
	$(Q)$(if $(and $(A),$(B)),,$(error compare needs A=run-folder B=run-folder))\
	    $(PYTHON) scripts/compare.py "$$A" "$$B" $(RUNS) $(if $(OUT),-o "$$OUT")

# Where runs that take turns are written: OUT, or a new folder below results/.
turns_folder = "$${OUT:-results/$@/$$(date -u +%Y%m%dT%H%M%SZ)}"

aa: all ## time the same twice, in turns, and compare: the noise floor
	$(Q)out=$(turns_folder) && \
	    scripts/turns "$$out" a=$(BUILD)/seqbench b=$(BUILD)/seqbench $(what) --rounds 5 && \
	    $(PYTHON) scripts/compare.py "$$out/a" "$$out/b" -o "$$out/compare"

# Short cases of many iterations, so that every sample holds its share of the planted work.
PLANTED_RUN := -k 'rnn/*,lstm/*,transformer/tiled' --engine openblas -S 16,32 -H 32,64 --rounds 40

planted: all $(BUILD)/tests/planted ## time 5 % more work and compare: does it show?
	$(Q)out=$(turns_folder) && \
	    scripts/turns "$$out" a=$(BUILD)/seqbench b=$(BUILD)/tests/planted $(PLANTED_RUN) && \
	    $(PYTHON) scripts/compare.py "$$out/a" "$$out/b" -o "$$out/compare"

# A third of all rounds of the second run share their core with a busy loop.
hog: all ## time the same twice, once with the core kept busy for a third of the time, and compare
	$(Q)out=$(turns_folder) && core="$${CPU:-1}" && mkdir -p "$$out" && \
	    HOG_CORE="$$core" HOG_CALLS="$$out/calls" SEQBENCH=$(BUILD)/seqbench \
	        scripts/turns "$$out" a=$(BUILD)/seqbench b=tests/hogged $(PLANTED_RUN) --cpu "$$core" && \
	    $(PYTHON) scripts/compare.py "$$out/a" "$$out/b" -o "$$out/compare"

# Another make builds: deps-peers may have installed oneDNN since this one looked for it.
peers: GRID = peers
peers: KERNELS = rnn/*,lstm/*,gru/*,transformer/*,decode/*,roof/*,!*/literal,!*/fused,!roof/sgem*
peers: ENGINE = openblas,packed,$(PEERS)
peers: have-deps ## time ours and whole layers of other libraries in turns, and compare (PEERS, GRID, KERNELS, OUT)
	$(Q)PYTHON='$(PYTHON)' scripts/deps missing peers
	$(Q)$(then_make) all
	$(Q)out=$(turns_folder) && $(BUILD)/seqbench run $(what) $(programs) -o "$$out" && \
	    $(PYTHON) scripts/summarise.py "$$out" && $(PYTHON) scripts/peers.py "$$out" -o "$$out"

yardstick: all $(BUILD)/tests/yardstick ## time steps of small LSTMs against kernels of fixed sizes
	$(Q)taskset -c "$${CPU:-1}" $(BUILD)/tests/yardstick

# Only our own code: OpenBLAS has one width per build.
width: GRID = width
width: KERNELS = rnn/registers,lstm/registers,gru/registers,transformer/online,attention/online,roof/fma,roof/read,roof/exp,roof/sigmoid,roof/tanh
width: ENGINE = packed
width: have-deps ## 12 minutes: time our kernels built for vectors of every width, in turns, and compare
	$(Q)$(if $(findstring $(comma),$(HEADS)$(BATCH)),$(error width compares at one of HEADS and of BATCH))\
	    for lanes in $(WIDTHS); do $(then_make) LANES=$$lanes all || exit; done
	$(Q)out=$(turns_folder) && \
	    scripts/turns --at-most 600 "$$out" $(foreach n,$(WIDTHS),lanes$(n)=$(BUILD_OF_ALL)-lanes$(n)/seqbench) $(what) && \
	    $(PYTHON) scripts/summarise.py $(WIDTHS:%="$$out/lanes%") && \
	    $(PYTHON) scripts/width.py $(WIDTHS:%="$$out/lanes%") -o "$$out"

chunks: KERNELS = linear_attention/*,supra/*,mamba2/*,mlstm/*,gated_deltanet/*
chunks: ENGINE = packed
chunks: S = 1024
chunks: H = 512
chunks: HEADS = 8,4,2
chunks: have-deps ## 2 minutes: time layers with a state token by token and in chunks of several lengths
	$(Q)for chunk in $(CHUNKS); do $(then_make) CHUNK=$$chunk all || exit; done
	$(Q)out=$(turns_folder) && \
	    scripts/turns "$$out" $(foreach n,$(CHUNKS),chunk$(n)=$(BUILD_OF_ALL)-chunk$(n)/seqbench) $(what) --rounds 5 && \
	    $(PYTHON) scripts/summarise.py $(CHUNKS:%="$$out/chunk%") && \
	    $(PYTHON) scripts/chunks.py $(CHUNKS:%="$$out/chunk%") -o "$$out"

batch: GRID = batch
batch: KERNELS = rnn/registers,rnn/hoisted,lstm/registers,gru/registers,transformer/online,attention/online,decode/*,roof/*
batch: ENGINE = packed
batch: bench ## 14 minutes: bench for 1 to 64 sequences at once

precision: GRID = precision
precision: KERNELS = rnn/registers,lstm/registers,gru/registers,minlstm/hoisted,transformer/online,decode/cached,roof/*,!roof/sgem*,!roof/empty
precision: ENGINE = packed*
precision: beside = accuracy() { $(BUILD)/seqbench accuracy --engine packed,packed-bf16,packed-int8 "$$@"; } && \
    accuracy -k "$$GLOBS" > "$$dir/accuracy.csv" && \
    accuracy -k '*/registers,minlstm/hoisted' -g accuracy-long > "$$dir/accuracy_long.csv" &&
precision: bench ## 12 minutes: bench for engines of fewer bytes per weight, and how accurate they are

# Textbook forms and those that are never the fastest are left out.
models: GRID = $(BUILD)/models.grid
models: KERNELS = */registers,*/joined,*/hoisted,*/scan,*/recurrent,*/online,*/tiled,*/cached,*/shifted
models: ENGINE = openblas,packed,packed-bf16,packed-int8
models: all ## 10 minutes: time the layers of named models (scripts/models.csv) at their own shapes
	$(Q)$(PYTHON) scripts/models.py --grid > $(BUILD)/models.grid
	$(Q)$(BUILD)/seqbench doctor --warnings $(on_core)
	$(Q)dir=$$($(BUILD)/seqbench run $(what) $(if $(OUT),-o "$$OUT")) && RUN="$$dir" $(then_make) csv && \
	    $(PYTHON) scripts/models.py "$$dir"

stream-peers: PEERS = onednn,eigen,torch,onnxruntime
stream-peers: KERNELS = lstm/joined,gru/joined,rnn/registers,*/hoisted,!min*,!s*,*/eigen,*/onednn,rnn/torch,lstm/torch,gru/torch,*/onnxruntime
stream-peers: GRID = stream
stream-peers: ENGINE = openblas,packed,$(PEERS)
stream-peers: have-deps ## time call by call ours and other libraries in turns (PEERS, KERNELS, INPUT, CPU, OUT)
	$(Q)PYTHON='$(PYTHON)' scripts/deps missing peers
	$(Q)$(then_make) all
	$(Q)out=$(turns_folder) && $(BUILD)/seqbench stream $(what) $(programs) --conditions hot -o "$$out" && \
	    $(PYTHON) scripts/stream.py "$$out" -o "$$out"

# Steps of every layer at all sizes; slow conditions at two sizes; calls of several tokens.
stream: KERNELS = rnn/registers,lstm/joined,gru/joined,mingru/hoisted,minlstm/hoisted,mamba/scan,decode/cached
stream: ENGINE = packed
stream: have-deps all ## 6 minutes: time call by call, with the state carried on, and sum up (KERNELS, ENGINE, CPU, OUT)
	$(Q)$(BUILD)/seqbench doctor --warnings $(on_core)
	$(Q)out=$(turns_folder) && mkdir -p "$$out" && \
	    call() { folder="$$out/$$1" && shift && if [ -e "$$folder/samples.csv" ]; then \
	            $(BUILD)/seqbench run --resume "$$folder"; else \
	            scripts/clear "$$folder" && $(BUILD)/seqbench stream -k "$$GLOBS" --engine "$$ENGINE" $(on_core) -o "$$folder" "$$@"; fi; } && \
	    call steps -g stream && \
	    call slow -g stream-slow --conditions 10ms,32ms,cold -k "$$GLOBS,!min*,!mamba/*" && \
	    call chunks -g stream-chunks --conditions hot -k '*/registers' && \
	    $(PYTHON) scripts/stream.py "$$out/steps" "$$out/slow" "$$out/chunks" -o "$$out"

pytest = env $(DATA:%=-u %) SEQBENCH_BUILD=$(BUILD) $(PYTHON) -B -m pytest -p no:cacheprovider

check: all $(C_TESTS) ## every kernel against its reference, vectors and oracle, every test in C
	$(Q)$(BUILD)/seqbench check --engine all
	$(Q)$(BUILD)/seqbench verify tests/vectors/*/
	$(Q)for test in $(C_TESTS); do $$test || exit; done
	$(Q)$(pytest) tests/test_batch.py

test: all $(C_TESTS) $(BUILD)/tests/stalled ## every test, or those of TESTS=files; the last line counts them
	$(Q)$(pytest) $(TESTS)

# Built for a CPU with 128-bit vectors and checked under emulation.
check-arm: $(filter deps-arm,$(MAKECMDGOALS)) ## cross-build for aarch64, check every kernel under qemu
	$(Q)$(MAKE) --no-print-directory BUILD=build-arm CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ \
	    MARCH=armv8-a ONEDNN= EIGEN= BLAS= all
	$(Q)qemu-aarch64 -L /usr/aarch64-linux-gnu build-arm/seqbench check --engine all

# Valgrind knows no AVX-512.
INSTRUCTIONS_OF ?= rnn/hoisted rnn/registers lstm/hoisted lstm/registers transformer/tiled transformer/online
instructions: ## count instructions per multiply-add under callgrind: results/instructions.csv
	$(Q)$(MAKE) --no-print-directory BUILD=build-v3 MARCH=x86-64-v3 all
	$(Q)$(PYTHON) scripts/instructions.py build-v3/seqbench $(or $(OUT),results/instructions.csv) $(INSTRUCTIONS_OF)

# Everything that parses, with the sanitizers; FUZZ_SECONDS for each of two processes.
FUZZ_SECONDS ?= 60
FUZZ_SOURCES := tests/fuzz/fuzz.c $(filter-out kernels/peers/% kernels/engines/blis.c,$(KERNEL_SOURCES)) \
                $(filter-out $(addprefix bench/,main.c manual.c run/round.c run/runner.c run/run_folder.c machine/%), $(BENCH_SOURCES))
FUZZ_SANITIZERS := -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

fuzz: have-deps ## fuzz grids, lists, plans, samples, .npy and case.json (clang, FUZZ_SECONDS=n)
	$(Q)mkdir -p build-fuzz/corpus
	$(Q)clang $(filter-out -MMD -MP,$(CPPFLAGS_ALL)) -std=gnu11 -O1 -g $(FUZZ_SANITIZERS) -o build-fuzz/fuzz \
	    $(FUZZ_SOURCES) $(LIBS)
	$(Q)cd build-fuzz && ./fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -jobs=2 -workers=2 \
	    -dict=../tests/fuzz/words.dict corpus ../tests/fuzz/seeds

SOURCES_TO_FORMAT := $(wildcard include/*.h kernels/*.c kernels/*/*.[ch] bench/*.[ch] bench/*/*.[ch] bench/*/*.cpp kernels/*/*.cpp tests/*.[ch] tests/fuzz/*.[ch])

format: ## format all C and C++ files in place
	$(Q)clang-format -i $(SOURCES_TO_FORMAT)

format-check: ## fail if a file is not formatted
	$(Q)clang-format --dry-run --Werror $(SOURCES_TO_FORMAT)

# Commands for those who have no checkout: scripts that need no build and no repository.
COMMANDS := summarise plot answer report compare predict stream
SHARED := $(filter-out %.pyc scripts/seqbench/peers/%,$(wildcard scripts/seqbench/*.* scripts/seqbench/*/*.*)) \
          scripts/models.csv include/dims.def results/README.md
DOCUMENTS := README.md README.zh-CN.md CHANGELOG.md CITATION.cff LICENSE

# A command is a link: Python finds what a script imports beside the script itself.
install: all ## install program, man page, completion and scripts below PREFIX (DESTDIR: staged)
	$(Q)umask 022 && to="$$DESTDIR$$PREFIX" && \
	    $(BUILD)/seqbench man > $(BUILD)/seqbench.1 && \
	    $(BUILD)/seqbench completion > $(BUILD)/completion && \
	    put() { install -D -m "$$1" "$$2" "$$to/$$3"; } && \
	    put 755 $(BUILD)/seqbench bin/seqbench && \
	    put 644 $(BUILD)/seqbench.1 share/man/man1/seqbench.1 && \
	    put 644 $(BUILD)/completion share/bash-completion/completions/seqbench && \
	    for file in $(SHARED); do put 644 $$file share/seqbench/$$file || exit; done && \
	    for file in $(DOCUMENTS); do put 644 $$file share/doc/seqbench/$$file || exit; done && \
	    for name in $(COMMANDS); do put 755 scripts/$$name.py share/seqbench/scripts/$$name.py && \
	        ln -sfn ../share/seqbench/scripts/$$name.py "$$to/bin/seqbench-$$name" || exit; done

uninstall: ## remove what install has put below PREFIX
	$(Q)to="$$DESTDIR$$PREFIX" && rm -rf "$$to/share/seqbench" "$$to/share/doc/seqbench" && \
	    rm -f "$$to/bin/seqbench" $(COMMANDS:%="$$to/bin/seqbench-%") "$$to/share/man/man1/seqbench.1" \
	        "$$to/share/bash-completion/completions/seqbench"

clean: ## remove everything that was built
	rm -rf build build-*

$(BUILD)/seqbench: $(OBJECTS)
	@echo '  LINK  $@'
	$(Q)$(CXX) $(CODEGEN) -o $@ $^ $(LIBS)

# The program with something wrong in it, for tests.
$(BUILD)/tests/planted $(BUILD)/tests/stalled: %: %.o $(OBJECTS)
	@echo '  LINK  $@'
	$(Q)$(CXX) $(CODEGEN) -Wl,--wrap=case_run -o $@ $^ $(LIBS)

$(BUILD)/tests/test_fuzz: $(BUILD)/tests/fuzz/fuzz.o

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(TESTED_OBJECTS)
	@echo '  LINK  $@'
	$(Q)$(CXX) $(CODEGEN) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/%.o: %.c $(BUILD)/gen/build_flags.h
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

$(BUILD)/%.o: %.cpp $(BUILD)/gen/build_flags.h
	@mkdir -p $(@D)
	@echo '  CXX   $<'
	$(Q)$(CXX) $(CPPFLAGS_ALL) $(CXXFLAGS_ALL) -c -o $@ $<

# How this was built, compiled in. Everything is built again when the flags change, host.c alone
# when the version or the commit does. + runs them under make -n too, which would else list every file.
$(BUILD)/gen/build_flags.h: FORCE
	+@mkdir -p $(@D)
	+@{ echo '#define SEQBENCH_COMPILER "$(shell $(CC) --version 2>/dev/null | head -n 1)"'; \
	   echo '#define SEQBENCH_FLAGS "$(CFLAGS_ALL)"'; \
	   echo '#define SEQBENCH_CXX_COMPILER "$(shell $(CXX) --version 2>/dev/null | head -n 1)"'; \
	   echo '#define SEQBENCH_CXX_FLAGS "$(CXXFLAGS_ALL)"'; \
	   echo '#define SEQBENCH_BLAS_DIR "$(BLAS_DIR)"'; \
	   echo '#define SEQBENCH_BENCHMARK_VERSION "$(or $(shell sed -n 's/^Version: *//p' /usr/lib/$(MULTIARCH)/pkgconfig/benchmark.pc 2>/dev/null),unknown)"'; } > $@.new
	+@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# A version and its date are said once, in CITATION.cff.
cited = $(shell sed -n 's/^$1: *//p' CITATION.cff 2>/dev/null)

$(BUILD)/gen/build_commit.h: FORCE
	+@mkdir -p $(@D)
	+@{ echo '#define SEQBENCH_VERSION "$(or $(call cited,version),unknown)"'; \
	   echo '#define SEQBENCH_RELEASED "$(or $(call cited,date-released),unknown)"'; \
	   echo '#define SEQBENCH_COMMIT "$(or $(shell git rev-parse HEAD 2>/dev/null),unknown)"'; \
	   echo '#define SEQBENCH_DIRTY $(if $(shell git status --porcelain -- Makefile bench include kernels 2>/dev/null),1,0)'; } > $@.new
	+@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/bench/machine/host.o: $(BUILD)/gen/build_commit.h

FORCE:

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d)
