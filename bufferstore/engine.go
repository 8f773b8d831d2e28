package bufferstore

import "errors"

// engine keeps values under ordered keys. One goroutine at a time calls apply
// and drop; get and each may run beside them.
type engine interface {
	// apply makes all operations durable in one step before it returns nil.
	// After an error all or none of them may be durable, and the engine must be
	// opened again before the next apply.
	apply(ops []op) error
	// get returns the value of a key, errAbsent if there is none. Any other
	// error means that the value is damaged.
	get(key []byte) ([]byte, error)
	// each calls f for the keys that begin with prefix, in order.
	each(prefix []byte, f func(key, value []byte) error) error
	// drop removes all keys beneath the prefixes and gives their space back.
	// After an error it is as after one of apply.
	drop(prefixes [][]byte) error
	close() error
}

// op sets a key, or removes it where value is nil.
type op struct{ key, value []byte }

var (
	errAbsent  = errors.New("absent")
	errDamaged = errors.New("damaged")
)
