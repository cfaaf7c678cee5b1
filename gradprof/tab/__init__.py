"""The Gradients tab: what TensorBoard imports at its start, hence torch-free and light.

1. `plugin`: what TensorBoard asks of a plugin, the only module that it imports at start; `routes`.
2. `query`, `replies`: parameters in, JSON and arrays out.
3. `provider`, `cache`: pieces of event files, through TensorBoard's data provider and never from the files.
4. `opening`: the run that a request names, as a `read.recording`.
5. `picture`: many steps to the columns of a picture.
6. `routes/`: one module for each route.
7. `static/`: the page, plain ES modules; imports run from `model/` by `draw/`, `widgets/`, `views/` to `app`.
"""
