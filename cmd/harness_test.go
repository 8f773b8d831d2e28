package cmd

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// built is where programs put them, once it has.
var built string

// programs builds the two commands once, and returns their folder.
var programs = sync.OnceValues(func() (dir string, err error) {
	if built, err = os.MkdirTemp("", "skyhaul-chain-"); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", built+"/", "skyhaul/cmd/skyhaul", "skyhaul/cmd/skyhub").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%v: %s", err, out)
	}
	return built, errors.Join(err, readSources())
})

// readSources looks into every folder of sources: go test sees that, but not
// what go build reads, and would otherwise show results of older programs.
func readSources() error {
	return filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	})
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// need skips a test whose peer is absent at a desk, and fails it in CI.
func need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed: see .ci/peers", name)
			}
			t.Skipf("%s is not installed: see .ci/peers", name)
		}
	}
}

// chain is a site and a centre made of real processes in a folder.
type chain struct {
	t      *testing.T
	dir    string
	broker string // host:port
}

func newChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{t: t, dir: t.TempDir(), broker: freePort(t)}
	c.must(c.output("skyhub", "key", "new", c.path("master-key")))
	key := c.must(c.output("skyhub", "key", "site", "--key", c.path("master-key"), "site-1"))
	c.write("hub-key", key)
	_, port, _ := net.SplitHostPort(c.broker)
	c.write("mosquitto.conf", fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 0\n", port, c.dir))
	c.write("skyhub.toml", fmt.Sprintf("[broker]\nurl = \"tcp://%s\"\nclient_id = \"hub-1\"\n[hub]\nkey_file = %q\n[sink]\npath = %q\n",
		c.broker, c.path("master-key"), c.path("hub.db")))
	return c
}

// freePort returns an address of loopback that nobody uses at this moment.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (c *chain) path(name string) string { return filepath.Join(c.dir, name) }

func (c *chain) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// process is a running program; what it says goes to a file.
type process struct {
	*exec.Cmd
	log  string
	done chan struct{}
}

// command finds our own programs among those built.
func (c *chain) command(name string, args ...string) *exec.Cmd {
	c.t.Helper()
	if name == "skyhaul" || name == "skyhub" {
		dir, err := programs()
		if err != nil {
			c.t.Fatal(err)
		}
		name = filepath.Join(dir, name)
	}
	return exec.Command(name, args...)
}

func (c *chain) start(name string, args ...string) *process {
	c.t.Helper()
	p := &process{Cmd: c.command(name, args...), log: c.path(filepath.Base(name) + ".log"), done: make(chan struct{})}
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	p.Stdout, p.Stderr = f, f
	if err := p.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { p.Wait(); close(p.done) }()
	c.t.Cleanup(func() {
		p.kill()
		if c.t.Failed() {
			text, _ := os.ReadFile(p.log)
			c.t.Logf("%s said:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	p.Process.Kill()
	<-p.done
}

// stop is SIGTERM, and returns the exit code.
func (p *process) stop() int {
	p.Process.Signal(syscall.SIGTERM)
	<-p.done
	return p.ProcessState.ExitCode()
}

// output runs a program to its end.
func (c *chain) output(name string, args ...string) (string, error) {
	c.t.Helper()
	cmd := c.command(name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%v: %w: %s", cmd, err, stderr.String())
	}
	return stdout.String(), err
}

func (c *chain) must(out string, err error) string {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// eventually polls until ok says so.
func (c *chain) eventually(what string, within time.Duration, ok func() bool) {
	c.t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); <-ticker.C {
		if ok() {
			return
		}
	}
	c.t.Fatalf("not within %v: %s", within, what)
}

// startBroker starts mosquitto and waits until it answers.
func (c *chain) startBroker() *process {
	c.t.Helper()
	p := c.start("mosquitto", "-c", c.path("mosquitto.conf"))
	c.eventually("mosquitto listens", 10*time.Second, func() bool {
		conn, err := net.Dial("tcp", c.broker)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return p
}

func (c *chain) startHub() *process {
	return c.start("skyhub", "run", "--config", c.path("skyhub.toml"))
}

func (c *chain) startSite() *process {
	return c.start("skyhaul", "run", "--config", c.path("skyhaul.toml"))
}

// row is a reading of an export by the names of its columns.
type row map[string]string

// name names a reading for ever.
func (r row) name() string {
	return strings.Join([]string{r["lane"], r["epoch"], r["seq"], r["point_id"]}, " ")
}

// rows reads a CSV export.
func (c *chain) rows(text string) (rows []row) {
	c.t.Helper()
	r := csv.NewReader(strings.NewReader(text))
	header, err := r.Read()
	for err == nil {
		var cells []string
		if cells, err = r.Read(); err == nil {
			v := row{}
			for i, name := range header {
				v[name] = cells[i]
			}
			rows = append(rows, v)
		}
	}
	if err != io.EOF {
		c.t.Fatalf("export: %v", err)
	}
	return rows
}

// buffered returns what is durable at the site; nothing while there is no store.
func (c *chain) buffered() []row {
	c.t.Helper()
	out, err := c.output("skyhaul", "buffer", "export", "--dir", c.path("edge"))
	if err != nil && strings.Contains(err.Error(), "no buffer") {
		return nil
	}
	return c.rows(c.must(out, err))
}

// stored returns what is stored at the centre; nothing while there is no database.
func (c *chain) stored() []row {
	c.t.Helper()
	out, err := c.output("skyhub", "export", "--db", c.path("hub.db"), "--site", "site-1")
	if err != nil {
		return nil
	}
	return c.rows(out)
}

// fleet is what skyhub says of the site's batches.
type fleet struct {
	Links     int `json:"chain_links"` // that lean on others, or are leant on
	Unchained int // that could not be read for what they lean on
}

func (c *chain) fleet() fleet {
	c.t.Helper()
	out := c.must(c.output("skyhub", "sites", "--db", c.path("hub.db"), "--json"))
	var sites []fleet
	if err := json.Unmarshal([]byte(out), &sites); err != nil || len(sites) != 1 {
		c.t.Fatalf("%v: %s", err, out)
	}
	return sites[0]
}
