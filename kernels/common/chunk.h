/* chunk.h - how many tokens the chunked forms of layers with a state take at once. */
#ifndef SEQBENCH_CHUNK_H
#define SEQBENCH_CHUNK_H

#if !defined(SEQBENCH_CHUNK) /* make CHUNK=n */
#define SEQBENCH_CHUNK 64
#endif
enum { STATE_CHUNK = SEQBENCH_CHUNK };

#endif
