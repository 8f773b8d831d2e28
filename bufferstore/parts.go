package bufferstore

import (
	"encoding/binary"

	"github.com/dgraph-io/badger/v4"
)

const (
	// partBytes is the longest value that Badger gets in one piece. The log, and with
	// it the memory of the process, would have to be seven times the longest value.
	partBytes = 200 << 10
	// keyPart begins the keys of parts. No other key begins so.
	keyPart = 'p'
	// metaParts marks an entry whose value is the number of its parts, u16.
	metaParts = 1
)

func partKey(key []byte, n int) []byte {
	k := append([]byte{keyPart}, key...)
	return binary.BigEndian.AppendUint16(k, uint16(n))
}

// putParts writes a long value in parts, each in a transaction before the one
// of the entry that it returns. A cut in between leaves parts that nothing
// points to; the next opening removes them.
func (b *badgerEngine) putParts(o op) (*badger.Entry, error) {
	n := 0
	for rest := o.value; len(rest) > 0; n++ {
		size := min(len(rest), partBytes)
		if err := b.write([]*badger.Entry{badger.NewEntry(partKey(o.key, n), rest[:size])}); err != nil {
			return nil, err
		}
		rest = rest[size:]
	}
	count := binary.BigEndian.AppendUint16(nil, uint16(n))
	return badger.NewEntry(o.key, count).WithMeta(metaParts), nil
}

// partsOf returns how many parts an item has, zero where it is whole.
func partsOf(item *badger.Item) (n int, err error) {
	if item.UserMeta() != metaParts {
		return 0, nil
	}
	err = item.Value(func(v []byte) error {
		if len(v) != 2 {
			return errDamaged
		}
		n = int(binary.BigEndian.Uint16(v))
		return nil
	})
	return n, err
}

// valueOf returns a copy of an item's value, put together where it is in parts.
func valueOf(txn *badger.Txn, item *badger.Item) (value []byte, err error) {
	count, err := partsOf(item)
	if err != nil || count == 0 {
		return item.ValueCopy(nil)
	}
	for n := range count {
		part, err := txn.Get(partKey(item.Key(), n))
		if err != nil {
			return nil, errDamaged
		}
		if err := part.Value(func(v []byte) error {
			value = append(value, v...)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return value, nil
}

// remove deletes a key with its parts.
func remove(txn *badger.Txn, key []byte) error {
	if item, err := txn.Get(key); err == nil {
		count, _ := partsOf(item) // those of a damaged one go with the next opening
		for n := range count {
			if err := txn.Delete(partKey(key, n)); err != nil {
				return err
			}
		}
	}
	return txn.Delete(key)
}

// sweepParts removes parts that nothing points to.
func (b *badgerEngine) sweepParts() (err error) {
	defer recovered(&err)
	var gone []*badger.Entry
	err = b.db.View(func(txn *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Prefix, o.PrefetchValues = []byte{keyPart}, false
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid() && len(gone) < 1000; it.Next() {
			if key := it.Item().KeyCopy(nil); !pointedTo(txn, key) {
				gone = append(gone, badger.NewEntry(key, nil))
			}
		}
		return nil
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return b.write(gone)
}

// pointedTo reports whether the entry of a part has that many.
func pointedTo(txn *badger.Txn, part []byte) bool {
	end := len(part) - 2
	item, err := txn.Get(part[1:end])
	if err != nil {
		return false
	}
	count, err := partsOf(item)
	return err == nil && int(binary.BigEndian.Uint16(part[end:])) < count
}
