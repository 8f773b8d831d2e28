package mqtt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// seeds are packets of a broker in hex, good and bad.
var seeds = []string{
	"20 03 00 00 00",
	"20 16 00 00 13 21 0014 27 00000100 13 001e 24 00 25 00 28 00 2a 00",
	"20 02 00 05",
	"90 05 8000 00 01 01",
	"30 06 0001 61 00 7878",
	"32 08 0001 61 0007 00 7878",
	"32 16 0001 61 0007 0e 26 0001 6b 0001 76 0b 07 02 00000001 7878",
	"40 02 8001", "40 03 8001 97", "40 09 8001 97 05 1f 0002 6f68",
	"d0 00", "e0 00", "e0 01 8e", "e0 09 8b 07 1f 0004 62796521",
	"30 80 80 80 80 00", "30 ff ff ff 7f", "30 05 0002 c328 00",
}

func seed(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// FuzzReadPacket demands of any bytes: no panic, memory in proportion to what
// has come, and of a PUBLISH that is taken, that it encodes to one that decodes
// to the same.
func FuzzReadPacket(f *testing.F) {
	for _, s := range seeds {
		f.Add(seed(s), true)
		f.Add(seed(s), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, five bool) {
		version := byte(4)
		if five {
			version = 5
		}
		before := allocated()
		pk, err := readPacket(bufio.NewReader(bytes.NewReader(data)), version, maxPacket)
		// The codec spends most on subscription identifiers: 8 bytes for 2, in a
		// slice that doubles.
		if got, most := allocated()-before, 256<<10+uint64(len(data))*32; got > most {
			t.Errorf("%d bytes allocated for %d, want at most %d", got, len(data), most)
		}
		if err != nil || pk.FixedHeader.Type != packets.Publish {
			return
		}
		var buf bytes.Buffer
		again := *pk
		again.Mods.AllowResponseInfo = true
		encode(&buf, again.PublishEncode)
		back, err := readPacket(bufio.NewReader(&buf), version, maxPacket)
		if err != nil {
			t.Fatalf("own encoding of %x refused: %v", data, err)
		}
		if got, want := back.TopicName+string(back.Payload), pk.TopicName+string(pk.Payload); got != want || back.PacketID != pk.PacketID {
			t.Errorf("%x comes back with id %d as %q, want %d and %q", data, back.PacketID, got, pk.PacketID, want)
		}
	})
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// FuzzHostileBroker lets a broker say anything after CONNACK and hang up: each
// message sent has one outcome, and the session ends with an error.
func FuzzHostileBroker(f *testing.F) {
	f.Add(seed(strings.Join(seeds[3:10], "")), true)
	f.Add(seed(strings.Join(seeds[10:], "")), true)
	f.Add(seed("90 04 8000 01 01"+seeds[4]+seeds[7]), false)
	f.Fuzz(func(t *testing.T, data []byte, five bool) {
		version, connack := byte(4), seed("20 02 00 00")
		if five {
			version, connack = 5, seed(seeds[0])
		}
		conn := &recording{Reader: io.MultiReader(bytes.NewReader(connack), bytes.NewReader(data))}
		s := New(Options{
			Dial:    func(context.Context) (net.Conn, error) { return conn, nil },
			Version: version, MaxPacket: 1 << 16, Subscribe: []string{"a", "b"},
		})
		var outcomes [3]int
		for i := range outcomes {
			if err := s.Send(t.Context(), "up", nil, func(error) { outcomes[i]++ }); err != nil {
				t.Fatal(err)
			}
		}
		err := s.Run(t.Context(), func(string, []byte) error { return nil })
		if want := [3]int{1, 1, 1}; err == nil || outcomes != want {
			t.Errorf("Run: %v, outcomes %v, want %v", err, outcomes, want)
		}
	})
}

// recording is a connection that ends when all of Reader has been read.
type recording struct {
	io.Reader
	net.Conn // nil: what isn't below isn't called
}

func (c *recording) Read(p []byte) (int, error)       { return c.Reader.Read(p) }
func (c *recording) Write(p []byte) (int, error)      { return len(p), nil }
func (c *recording) SetWriteDeadline(time.Time) error { return nil }
func (c *recording) Close() error                     { return nil }

func TestClaimedLengthAllocatesNothing(t *testing.T) {
	before := allocated()
	for range 10 {
		_, err := readPacket(bufio.NewReader(bytes.NewReader(seed("30 ff ff ff 7f 0001"))), 5, maxPacket)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	if got := (allocated() - before) / 10; got > 128<<10 {
		t.Errorf("%d bytes allocated for a packet of seven", got)
	}
}

// Both sides of each boundary of the remaining length. MQTT 5.0, table 1-1.
func TestPacketSizeIsThatOfTheEncoding(t *testing.T) {
	for _, version := range []byte{4, 5} {
		o := newOutbox(Options{Version: version, Limits: new(Limits)})
		for _, boundary := range []int{127, 16_383, 2_097_151} {
			for n := boundary - 10; n <= boundary+1; n++ {
				p := publish{topic: "up", payload: make([]byte, n)}
				o.publishes.Reset()
				o.launch(&o.publishes, p, 0)
				if got, want := o.packetSize(p), o.publishes.Len(); got != want {
					t.Fatalf("version %d, payload %d: size %d, encoded %d", version, n, got, want)
				}
			}
		}
	}
}

func TestLongPacketArrivesWhole(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 50_000)
	var buf bytes.Buffer
	encode(&buf, (&packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, ProtocolVersion: 5, TopicName: "a", PacketID: 1, Payload: payload,
	}).PublishEncode)
	size := buf.Len()
	for _, limit := range []int{size - 1, size} {
		pk, err := readPacket(bufio.NewReader(bytes.NewReader(buf.Bytes())), 5, limit)
		if limit < size {
			if err == nil {
				t.Error("a packet beyond the limit was taken")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(pk.Payload, payload) {
			t.Error("it arrives changed")
		}
	}
}
