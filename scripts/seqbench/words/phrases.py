"""The sentences of the answer, in the languages of the front pages.

A sentence has one meaning and one number. {a} and {b} are layers, {s} a SeqLen, {h} a HidSize,
{x} the number. EN and ZH have the same keys, and the same names in each sentence.
"""
from __future__ import annotations

EN = {
    "rnn": "an RNN", "lstm": "an LSTM", "gru": "a GRU", "transformer": "a Transformer block",
    "mingru": "a minGRU", "minlstm": "a minLSTM", "mamba": "Mamba", "mamba2": "Mamba-2",
    "gated_deltanet": "Gated DeltaNet", "rwkv7": "RWKV-7", "mlstm": "an mLSTM", "slstm": "an sLSTM",
    "rglru": "an RG-LRU", "ssru": "an SSRU", "short_conv": "a gated short convolution",
    "gpt": "a GPT block", "modern": "a LLaMA block",
    "question": "Which takes less time on one CPU core: an RNN, an LSTM or a Transformer block?",
    "nothing": "No layer was timed beside the layer {b}: there is nothing to compare.",
    # models of equal size, along SeqLen at one HidSize
    "crosses": "At equal model size {a} takes less time than {b} from about {x} tokens on "
               "(HidSize {h}); on shorter sequences it takes more.",
    "crosses back": "At equal model size {a} takes less time than {b} only below about {x} tokens "
                    "(HidSize {h}).",
    "faster everywhere": "At equal model size {a} takes less time than {b} at every length that "
                         "was measured (HidSize {h}).",
    "slower everywhere": "At equal model size {a} takes more time than {b} at every length that "
                         "was measured (HidSize {h}).",
    "never slower": "At equal model size {a} takes less time than {b}, or as much, at every length "
                    "that was measured (HidSize {h}).",
    "never faster": "At equal model size {a} takes more time than {b}, or as much, at every length "
                    "that was measured (HidSize {h}).",
    "no difference": "At equal model size no difference between {a} and {b} can be told "
                     "(HidSize {h}).",
    "several crossings": "At equal model size neither {a} nor {b} stays ahead as sequences grow "
                         "(HidSize {h}).",
    "later": "The wider the model, the later that is: at HidSize {h} {a} needs about {x} tokens.",
    "sooner": "The wider the model, the sooner that is: at HidSize {h} {a} needs about {x} tokens.",
    # models of equal size, in one cell
    "faster": "At {s} tokens {b} takes {x} times as long as {a} of equal size (HidSize {h}).",
    "slower": "At {s} tokens {a} takes {x} times as long as {b} of equal size (HidSize {h}).",
    "same": "At {s} tokens no difference between {a} and {b} of equal size can be told "
            "(HidSize {h}).",
    "least": "At {s} tokens, of models of equal size, {a} takes the least time: {x} µs per token "
             "of a layer (HidSize {h}).",
    "tie": "At {s} tokens, of models of equal size, {a} and {b} take the least time; between the "
           "two no difference can be told (HidSize {h}).",
    # layer for layer
    "layer always": "Counted layer for layer, as the article does, {a} is faster than {b} at every "
                    "size, but it has only {x} % of the parameters.",
    "layer not always": "Counted layer for layer, as the article does, {a} is not faster than {b} "
                        "at every size; it has {x} % of the parameters.",
    # within the core: vectors of n and m floats; batches of n and m sequences
    "one float": "one float", "floats": "{n} floats",
    "width agrees": "Without vectors the count of operations is nearly right: with {n} per "
                    "vector {b} takes {x} times as long as {a} (counted: {y}), with {m} per vector "
                    "{z} times ({s} tokens, HidSize {h}).",
    "width differs": "With {n} per vector {b} takes {x} times as long as {a} (counted: {y}), with "
                     "{m} per vector {z} times ({s} tokens, HidSize {h}).",
    "batch": "With BatchSize {n} {b} takes {x} times as long as {a}; with {m} it takes {z} times "
             "as long, by operations {y} times ({s} tokens, HidSize {h}).",
    "batch half": "From BatchSize {x} on {a} reaches half of the core's multiply-add rate "
                  "(HidSize {h}).",
    "batch agrees": "From BatchSize {x} on the ratio stays within 15 % of the count.",
    "batch differs": "At no BatchSize does the ratio come within 15 % of the count.",
    "price": "An operation of {a} takes {x} times as long as one of {b} (HidSize {h}): a recurrent "
             "step reads its whole matrix again for every token.",
}

ZH = {
    "rnn": "RNN", "lstm": "LSTM", "gru": "GRU", "transformer": "Transformer 块",
    "mingru": "minGRU", "minlstm": "minLSTM", "mamba": "Mamba", "mamba2": "Mamba-2",
    "gated_deltanet": "Gated DeltaNet", "rwkv7": "RWKV-7", "mlstm": "mLSTM", "slstm": "sLSTM",
    "rglru": "RG-LRU", "ssru": "SSRU", "short_conv": "门控短卷积", "gpt": "GPT 块",
    "modern": "LLaMA 块",
    "question": "在单个 CPU 核上，RNN、LSTM 和 Transformer 块，哪个更快？",
    "nothing": "没有与 {b} 一起测量的层，无从比较。",
    "crosses": "参数量相同时，序列长度约 {x} 以上 {a} 比 {b} 快（HidSize {h}），更短则更慢。",
    "crosses back": "参数量相同时，只有序列长度低于约 {x} 时 {a} 才比 {b} 快（HidSize {h}）。",
    "faster everywhere": "参数量相同时，在所有测量的长度上 {a} 都比 {b} 快（HidSize {h}）。",
    "slower everywhere": "参数量相同时，在所有测量的长度上 {a} 都比 {b} 慢（HidSize {h}）。",
    "never slower": "参数量相同时，在所有测量的长度上 {a} 不比 {b} 慢（HidSize {h}）。",
    "never faster": "参数量相同时，在所有测量的长度上 {a} 不比 {b} 快（HidSize {h}）。",
    "no difference": "参数量相同时，看不出 {a} 与 {b} 的差别（HidSize {h}）。",
    "several crossings": "参数量相同时，{a} 与 {b} 的快慢随长度多次交替（HidSize {h}）。",
    "later": "模型越宽，这个长度越大：HidSize {h} 时 {a} 需要约 {x}。",
    "sooner": "模型越宽，这个长度越小：HidSize {h} 时 {a} 需要约 {x}。",
    "faster": "长度 {s} 时，同等参数量的 {b} 用时是 {a} 的 {x} 倍（HidSize {h}）。",
    "slower": "长度 {s} 时，同等参数量的 {a} 用时是 {b} 的 {x} 倍（HidSize {h}）。",
    "same": "长度 {s} 时，看不出同等参数量的 {a} 与 {b} 的差别（HidSize {h}）。",
    "least": "长度 {s} 时，同等参数量下 {a} 用时最少：每层每个词元 {x} 微秒（HidSize {h}）。",
    "tie": "长度 {s} 时，同等参数量下 {a} 与 {b} 用时最少，两者看不出差别（HidSize {h}）。",
    "layer always": "若像文章那样逐层比较，{a} 在所有尺寸上都比 {b} 快，但它的参数只有后者的 {x} %。",
    "layer not always": "若像文章那样逐层比较，{a} 并非在所有尺寸上都比 {b} 快；它的参数是后者的 {x} %。",
    "one float": "1", "floats": "{n}",
    "width agrees": "没有向量时，数运算次数大致是对的：向量宽度为 {n} 时 {b} 用时是 {a} 的 {x} 倍"
                    "（按运算次数 {y} 倍），宽度为 {m} 时 {z} 倍（长度 {s}，HidSize {h}）。",
    "width differs": "向量宽度为 {n} 时 {b} 用时是 {a} 的 {x} 倍（按运算次数 {y} 倍），"
                     "宽度为 {m} 时 {z} 倍（长度 {s}，HidSize {h}）。",
    "batch": "一次处理 {n} 个序列时 {b} 用时是 {a} 的 {x} 倍，{m} 个序列时 {z} 倍，"
             "按运算次数 {y} 倍（长度 {s}，HidSize {h}）。",
    "batch half": "从 {x} 个序列起 {a} 达到单核乘加峰值的一半（HidSize {h}）。",
    "batch agrees": "从 {x} 个序列起比值与运算次数之比相差不超过 15 %。",
    "batch differs": "无论多少个序列，比值都与运算次数之比相差 15 % 以上。",
    "price": "{a} 的一次运算用时是 {b} 的 {x} 倍（HidSize {h}）：循环的每一步都要重读整个矩阵。",
}
LANGUAGES = {"en": EN, "zh": ZH}
