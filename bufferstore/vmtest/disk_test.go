//go:build linux && amd64

package vmtest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
)

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

// disk is an image behind a write cache that a power cut empties: of what was
// written since the last flush any sector may be there or not. It is served to
// qemu over the NBD protocol. Its methods are safe for concurrent use.
type disk struct {
	image *os.File
	size  int64

	mu        sync.Mutex
	unflushed map[int64][sectorSize]byte // sector -> what the last flush made stable
	writes    int                        // until the power goes
	gone      func()                     // says that it is; nil while nothing is planned
}

func newDisk(image *os.File) (*disk, error) {
	fi, err := image.Stat()
	if err != nil {
		return nil, err
	}
	return &disk{image: image, size: fi.Size(), unflushed: map[int64][sectorSize]byte{}}, nil
}

// write writes whole sectors, and remembers what was stable there.
func (d *disk) write(b []byte, off int64) error {
	if off%sectorSize != 0 || len(b)%sectorSize != 0 {
		return fmt.Errorf("write of %d bytes at %d: not whole sectors", len(b), off)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	old := make([]byte, len(b))
	if _, err := d.image.ReadAt(old, off); err != nil {
		return err
	}
	for i := 0; i < len(b); i += sectorSize {
		sector := (off + int64(i)) / sectorSize
		if _, ok := d.unflushed[sector]; !ok {
			d.unflushed[sector] = [sectorSize]byte(old[i:])
		}
	}
	_, err := d.image.WriteAt(b, off)
	return err
}

// flush makes all that was written stable.
func (d *disk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.unflushed)
}

// endAfter plans the end of the power: as the disk does one of the next
// writes, which counts from 1, it calls gone, and answers nothing any more.
func (d *disk) endAfter(writes int, gone func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes, d.gone = writes, gone
}

// ended counts a write.
func (d *disk) ended() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes--
	if d.gone == nil || d.writes > 0 {
		return false
	}
	d.gone()
	return true
}

// cut takes the power away: a share of the unflushed sectors, from none to
// all, falls back to what the last flush made stable. Sometimes blocks of
// 4 KiB stay whole, sometimes they tear. It returns how many sectors there were and fell back.
func (d *disk) cut(rng *rand.Rand) (unflushed, lost int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	share := []float64{0, 0.1, 0.5, 0.9, 1}[rng.IntN(5)]
	grain := []int64{1, 8}[rng.IntN(2)]
	block, gone := int64(-1), false
	for _, sector := range slices.Sorted(maps.Keys(d.unflushed)) {
		if sector/grain != block {
			block, gone = sector/grain, rng.Float64() < share
		}
		if !gone {
			continue
		}
		old := d.unflushed[sector]
		if _, err := d.image.WriteAt(old[:], sector*sectorSize); err != nil {
			return 0, 0, err
		}
		lost++
	}
	unflushed = len(d.unflushed)
	clear(d.unflushed)
	d.gone = nil
	return unflushed, lost, nil
}

// NBD, https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md:
// the fixed newstyle handshake and simple replies.
const (
	nbdMagic      = 0x4e42444d41474943 // NBDMAGIC
	nbdOption     = 0x49484156454f5054 // IHAVEOPT
	nbdOptReply   = 0x0003e889045565a9
	nbdRequest    = 0x25609513
	nbdReply      = 0x67446698
	nbdNewstyle   = 1<<0 | 1<<1 // fixed, without zeroes
	nbdOptGo      = 7
	nbdRepAck     = 1
	nbdRepInfo    = 3
	nbdRepUnknown = 1<<31 | 1
	nbdFlags      = 1<<0 | 1<<2 // has flags, takes flushes

	nbdRead       = 0
	nbdWrite      = 1
	nbdDisconnect = 2
	nbdFlush      = 3

	nbdMaxLength = 32 << 20
)

// serveOne waits for a client and serves it.
func (d *disk) serveOne(l net.Listener) error {
	c, err := l.Accept()
	if err != nil {
		return nil // closed: it never came
	}
	return d.serve(c)
}

// serve answers one client until it goes; a client that is killed is no error.
func (d *disk) serve(c net.Conn) error {
	defer func() { _ = c.Close() }()
	r, w := bufio.NewReaderSize(c, 1<<16), bufio.NewWriterSize(c, 1<<16)
	err := d.greet(r, w)
	for err == nil {
		err = d.answer(r, w)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// greet agrees on the export with the client.
func (d *disk) greet(r io.Reader, w *bufio.Writer) error {
	if err := send(w, uint64(nbdMagic), uint64(nbdOption), uint16(nbdNewstyle)); err != nil {
		return err
	}
	var flags uint32
	if err := binary.Read(r, binary.BigEndian, &flags); err != nil {
		return err
	}
	for {
		var o struct {
			Magic       uint64
			Option, Len uint32
		}
		if err := binary.Read(r, binary.BigEndian, &o); err != nil {
			return err
		}
		if o.Magic != nbdOption || o.Len > 1<<16 {
			return fmt.Errorf("nbd option %+v", o)
		}
		if _, err := io.CopyN(io.Discard, r, int64(o.Len)); err != nil {
			return err
		}
		if o.Option != nbdOptGo {
			if err := send(w, uint64(nbdOptReply), o.Option, uint32(nbdRepUnknown), uint32(0)); err != nil {
				return err
			}
			continue
		}
		return send(w,
			uint64(nbdOptReply), o.Option, uint32(nbdRepInfo), uint32(12), uint16(0), d.size, uint16(nbdFlags),
			uint64(nbdOptReply), o.Option, uint32(nbdRepAck), uint32(0))
	}
}

// answer does one request.
func (d *disk) answer(r io.Reader, w *bufio.Writer) error {
	var q struct {
		Magic       uint32
		Flags, Type uint16
		Handle      uint64
		Offset      int64
		Len         uint32
	}
	if err := binary.Read(r, binary.BigEndian, &q); err != nil {
		return err
	}
	if q.Magic != nbdRequest || q.Len > nbdMaxLength || q.Offset < 0 || q.Offset > d.size-int64(q.Len) {
		return fmt.Errorf("nbd request %+v", q)
	}
	var b []byte
	switch q.Type {
	case nbdRead:
		b = make([]byte, q.Len)
		if _, err := d.image.ReadAt(b, q.Offset); err != nil {
			return err
		}
	case nbdWrite:
		data := make([]byte, q.Len)
		if _, err := io.ReadFull(r, data); err != nil {
			return err
		}
		if err := d.write(data, q.Offset); err != nil {
			return err
		}
		if d.ended() {
			_, err := io.Copy(io.Discard, r) // until qemu is dead: it must not tell the guest
			return errors.Join(err, io.EOF)
		}
	case nbdFlush:
		d.flush()
	case nbdDisconnect:
		return io.EOF
	default:
		return fmt.Errorf("nbd request %+v", q)
	}
	return send(w, uint32(nbdReply), uint32(0), q.Handle, b)
}

// send writes values of fixed size, big endian, at once.
func send(w *bufio.Writer, values ...any) error {
	for _, v := range values {
		if err := binary.Write(w, binary.BigEndian, v); err != nil {
			return err
		}
	}
	return w.Flush()
}
