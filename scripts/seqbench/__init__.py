"""Tables, words and figures from the run folders of seqbench."""
