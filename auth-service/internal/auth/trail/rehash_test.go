package trail

// Rehash works out the hash that the entry would have after another one.
func (e *Entry) Rehash(previous [32]byte) [32]byte { return e.hash(previous) }
