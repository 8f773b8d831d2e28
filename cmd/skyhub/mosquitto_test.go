package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
	"skyhaul/link/mqtt"
)

// mosquitto starts Debian's broker and returns its address.
func mosquitto(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program = "/usr/sbin/mosquitto"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("mosquitto is not installed")
		}
		t.Skip("mosquitto is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	_, port, _ := net.SplitHostPort(address)
	write(t, conf, "listener "+port+" 127.0.0.1\nallow_anonymous true\nmax_queued_messages 10000\n")
	cmd := exec.Command(program, "-c", conf)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if strings.HasSuffix(lines.Text(), " running") {
			go io.Copy(io.Discard, log)
			return address
		}
	}
	t.Fatal("mosquitto did not start")
	return ""
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runHub starts skyhub run; stop waits until it has ended.
func runHub(t *testing.T, config string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var log bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"run", "--config", config}, io.Discard, &log) }()
	return func() {
		t.Helper()
		cancel()
		if c := <-code; c != 0 {
			t.Errorf("skyhub run ended with %d:\n%s", c, &log)
		}
	}
}

// everyType has a column of each type.
func everyType() *point.Schema {
	s := &point.Schema{Group: "every type"}
	for t := point.Bool; t.Valid(); t++ {
		s.Columns = append(s.Columns, point.Column{ID: point.ID(t), Tag: "tag, \"" + t.String() + "\"", Type: t, Scale: point.Scale{Factor: 0.1, Offset: 3}})
	}
	return s
}

// source is what a site has read.
type source struct {
	schema *point.Schema
	raw    [][]uint64
}

func newSource(n int) *source {
	rng := rand.New(rand.NewPCG(1, 2))
	s := &source{schema: everyType()}
	for range n {
		row := make([]uint64, len(s.schema.Columns))
		for i, c := range s.schema.Columns {
			row[i] = rng.Uint64() >> (64 - 8*c.Type.Size())
			if c.Type == point.Bool {
				row[i] &= 1
			}
		}
		s.raw = append(s.raw, row)
	}
	return s
}

func (s *source) find(id point.SchemaID) (*point.Schema, bool) { return s.schema, id == s.schema.ID() }

// records yields the scans from the first on.
func (s *source) records(e bufferstore.Epoch, first bufferstore.Seq) iter.Seq2[bufferstore.Record, error] {
	return func(yield func(bufferstore.Record, error) bool) {
		for n := first; n <= bufferstore.Seq(len(s.raw)); n++ {
			sc := point.Scan{
				Schema:  s.schema.ID(),
				Stamp:   point.Stamp{Boot: 1, Boottime: time.Duration(n) * time.Second, Wall: 1_770_000_000_000 + int64(n)*1000},
				Values:  s.raw[n-1],
				Quality: make([]point.Quality, len(s.schema.Columns)),
			}
			if !yield(bufferstore.Record{Epoch: e, First: n, Last: n, Data: sc.Append(nil, s.schema)}, nil) {
				return
			}
		}
	}
}

// check compares a CSV export with what was read, by bits and by text.
func (s *source) check(t *testing.T, export []byte) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(export)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[string]int)
	for i, name := range rows[0] {
		at[name] = i
	}
	var got, want [][]string
	for _, r := range rows[1:] {
		got = append(got, []string{r[at["seq"]], r[at["tag"]], r[at["bits"]]})
		typ, _ := point.ParseType(r[at["type"]])
		raw, err := typ.Parse(r[at["raw"]])
		if err != nil || (fmt.Sprintf("0x%0*x", 2*typ.Size(), raw) != r[at["bits"]] && r[at["raw"]] != "NaN") {
			t.Errorf("%s %s reads back as %#x, want %s (%v)", typ, r[at["raw"]], raw, r[at["bits"]], err)
		}
	}
	for n, row := range s.raw {
		for i, c := range s.schema.Columns {
			want = append(want, []string{fmt.Sprint(n + 1), c.Tag, fmt.Sprintf("0x%0*x", 2*c.Type.Size(), row[i])})
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// site is the far end, as skyhaul would be.
type site struct {
	*mqtt.Session
	acks chan *batch.Ack
}

func openSite(t *testing.T, address string, key batch.Key) *site {
	t.Helper()
	s := &site{acks: make(chan *batch.Ack, 1000)}
	s.Session = mqtt.New(mqtt.Options{Dial: mqtt.DialTCP(address), ClientID: "north-7", CleanStart: true, Subscribe: []string{batch.AckTopic("gas/", "north-7")}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- s.Run(ctx, func(_ string, p []byte) error {
			a, err := batch.ParseAck(p, key, "north-7")
			if err == nil {
				s.acks <- a
			}
			return err
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// publish sends everything in small batches, each answered by the broker.
func (s *site) publish(t *testing.T, src *source, first bufferstore.Seq) {
	t.Helper()
	enc := batch.NewEncoder(src.find)
	h := batch.Header{Lane: point.History, Epoch: bufferstore.Epoch{1}, Opening: &batch.Opening{First: 1}}
	for int(first) <= len(src.raw) {
		p, last, err := enc.Encode(nil, h, src.records(h.Epoch, first), 1000)
		if err != nil {
			t.Fatal(err)
		}
		s.send(t, p)
		first = last + 1
	}
}

// send tries until a hub has subscribed for the first time.
func (s *site) send(t *testing.T, p []byte) {
	t.Helper()
	taken := make(chan error, 1)
	for range time.Tick(20 * time.Millisecond) {
		err := s.Send(t.Context(), batch.UpTopic("gas/", "north-7", point.History), p, func(err error) { taken <- err })
		if err == nil {
			err = <-taken
		}
		if refused, ok := errors.AsType[*mqtt.RefusedError](err); ok && refused.Reason == mqtt.NoSubscriber {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}

// acked waits until an ack says that everything up to floor is durable.
func (s *site) acked(t *testing.T, floor bufferstore.Seq) {
	t.Helper()
	for late := time.After(time.Minute); ; {
		select {
		case a := <-s.acks:
			if len(a.Lanes) == 1 && a.Lanes[0].Floor == floor {
				return
			}
		case <-late:
			t.Fatalf("no ack for %d", floor)
		}
	}
}

func TestAReadingPassesTheBrokerBitForBit(t *testing.T) {
	address := mosquitto(t)
	dir := t.TempDir()
	if code := run(t.Context(), []string{"key", "new", filepath.Join(dir, "master")}, io.Discard, os.Stderr); code != 0 {
		t.Fatalf("skyhub key new ended with %d", code)
	}
	master, err := readKey(filepath.Join(dir, "master"))
	if err != nil {
		t.Fatal(err)
	}
	for _, hub := range []string{"a", "b"} {
		write(t, filepath.Join(dir, hub+".toml"), "[broker]\nurl = \"tcp://"+address+"\"\nclient_id = \"skyhub-"+hub+
			"\"\n[hub]\nkey_file = \"master\"\ntopic_prefix = \"gas/\"\n[sink]\npath = \"hub.db\"\n")
	}
	src := newSource(240)
	stopA := runHub(t, filepath.Join(dir, "a.toml"))
	s := openSite(t, address, batch.SiteKey(master, "north-7"))
	half := &source{src.schema, src.raw[:120]}
	s.publish(t, half, 1)
	s.acked(t, 120)

	// The broker keeps for a hub that is away what comes in, and repeats itself.
	stopA()
	s.publish(t, src, 100)
	stopA = runHub(t, filepath.Join(dir, "a.toml"))
	stopB := runHub(t, filepath.Join(dir, "b.toml"))
	s.acked(t, 240)
	s.publish(t, src, 1)
	stopA()
	stopB()

	var out bytes.Buffer
	if code := run(t.Context(), []string{"export", "--db", filepath.Join(dir, "hub.db"), "--site", "north-7"}, &out, os.Stderr); code != 0 {
		t.Fatalf("skyhub export ended with %d", code)
	}
	src.check(t, out.Bytes())
}
