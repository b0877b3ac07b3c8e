"""Networks over time: (B, T, D) tensors and a (B, T) mask in, (B, T, 2) out.

The interface of every temporal module:

    forward(x: (B, T, in_dim), mask: (B, T) bool, True = real frame) -> (B, T, out_dim)
    in_dim, out_dim    widths
    causal             whether frame t depends on frames <= t only
    receptive_field    how many frames one output frame can depend on; None: no bound
    initial_state(batch) and step(x_t: (B, in_dim), state) -> (y_t, state)    where causal

Rows where the mask is False may hold any value, also NaN; they do not change a row where it is True.
The output on them is unspecified. A state is a value: `step` returns a new one. Steps are for prediction:
they use no dropout, and a state is invalid once the weights change.
"""
