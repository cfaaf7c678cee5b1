"""What each route answers: a module a route, `answer(store, asker, query)` in each."""
