package batch

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The limits of a down document.
const (
	maxCommands = 32
	maxCommand  = 1 << 10 // bytes of a body
)

// Marshal returns the document for a site under its key:
//
//	version u8 = 1 | at varint | commands uvarint | command* | MAC 16
//	command: id uvarint | deadline - at varint | length uvarint | body
//
// It refuses more than 32 commands and bodies over 1 KiB.
func (d *Down) Marshal(k Key, site string) ([]byte, error) {
	if len(d.Commands) > maxCommands {
		return nil, fmt.Errorf("down for %s: %d commands, at most %d", site, len(d.Commands), maxCommands)
	}
	p := binary.AppendVarint([]byte{documentVersion}, d.At)
	p = binary.AppendUvarint(p, uint64(len(d.Commands)))
	for _, c := range d.Commands {
		if len(c.Body) > maxCommand {
			return nil, fmt.Errorf("down for %s: command %d of %d bytes, at most %d", site, c.ID, len(c.Body), maxCommand)
		}
		p = binary.AppendUvarint(p, c.ID)
		p = binary.AppendVarint(p, c.Deadline-d.At)
		p = binary.AppendUvarint(p, uint64(len(c.Body)))
		p = append(p, c.Body...)
	}
	return k.seal(p, documentDown, site)
}

// ParseDown reads a document made by Marshal for the same site under the same
// key. The error is [ErrMAC] or wraps [ErrCorrupt] or [ErrVersion].
func ParseDown(p []byte, k Key, site string) (*Down, error) {
	content, err := k.open(p, documentDown, site)
	if err != nil {
		return nil, err
	}
	src := source{b: content}
	d := &Down{At: src.varint()}
	for range src.count(maxCommands) {
		d.Commands = append(d.Commands, Command{
			ID: src.uvarint(), Deadline: d.At + src.varint(),
			Body: bytes.Clone(src.take(uint64(src.count(maxCommand)))),
		})
	}
	if src.bad || len(src.b) > 0 {
		return nil, fmt.Errorf("down of %d bytes: %w", len(p), ErrCorrupt)
	}
	return d, nil
}
