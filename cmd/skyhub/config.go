package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"skyhaul/link/mqtt"
)

// reference shows every key; those that are commented out have the default
// that stands there.
const reference = `[broker]
url = "tls://broker.example:8883"      # or tcp://broker.example:1883
# mqtt = 5                             # or 4 for MQTT 3.1.1
# client_id = "skyhub-HOSTNAME"        # its own for each hub, and always the same: the broker keeps what comes in meanwhile under it
# session_expiry = "168h"              # how long the broker does so (MQTT 5)
# keep_alive = "1m"
# user = ""
# password_file = ""
# ca_file = ""                         # "" for the system's authorities
# cert_file = ""
# key_file = ""

[hub]
key_file = "credential:master-key"     # made by skyhub key new
# topic_prefix = ""                    # before skyhaul/1/..., with a slash at its end
# share_group = "skyhub"               # hubs of one group share the work and the sink
# chain_memory_mib = 64                # for what sites' batches lean on, 0 to 65536; what has no room is made again from the sink

[sink]
path = "/var/lib/skyhub/skyhub.db"
# kind = "sqlite"
`

// config is a checked configuration.
type config struct {
	address string // host:port
	tls     *mqtt.TLSOptions
	session mqtt.Options // without Dial and Subscribe
	prefix  string
	group   string
	memory  int // of chains, see hub.Options
	master  []byte
	db      string
}

// raw has the shape of the file.
type raw struct {
	Broker struct {
		URL           string `toml:"url"`
		MQTT          int    `toml:"mqtt"`
		ClientID      string `toml:"client_id"`
		SessionExpiry string `toml:"session_expiry"`
		KeepAlive     string `toml:"keep_alive"`
		User          string `toml:"user"`
		PasswordFile  string `toml:"password_file"`
		CAFile        string `toml:"ca_file"`
		CertFile      string `toml:"cert_file"`
		KeyFile       string `toml:"key_file"`
	} `toml:"broker"`
	Hub struct {
		KeyFile     string `toml:"key_file"`
		TopicPrefix string `toml:"topic_prefix"`
		ShareGroup  string `toml:"share_group"`
		ChainMemory int    `toml:"chain_memory_mib"`
	} `toml:"hub"`
	Sink struct {
		Kind string `toml:"kind"`
		Path string `toml:"path"`
	} `toml:"sink"`
}

// loadConfig reads a file. Its error lists all that is wrong with it.
func loadConfig(path string) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, configError{err}
	}
	var r raw
	r.Broker.MQTT = 5
	r.Broker.SessionExpiry = "168h"
	r.Broker.KeepAlive = "1m"
	r.Hub.ShareGroup = "skyhub"
	r.Hub.ChainMemory = 64
	r.Sink.Kind = "sqlite"
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, configError{syntax(path, err)}
	}
	k := &checker{path: path, text: string(text)}
	c := k.config(&r)
	if err := k.err(); err != nil {
		return nil, configError{err}
	}
	return c, nil
}

// syntax shows the line that the decoder stumbled over.
func syntax(path string, err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return fmt.Errorf("%s: unknown key; skyhub run --help names all there are\n%s", path, strict.String())
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, _ := bad.Position()
		shown := goType.ReplaceAllString(bad.String(), " where a value of type $1 belongs")
		return fmt.Errorf("%s:%d: [%s]: cannot be read\n%s", path, row, strings.Join(bad.Key(), "."), shown)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// goType is what the decoder says of our structs, which tells the reader nothing.
var goType = regexp.MustCompile(` into struct field .* of type (\w+)`)

// checker turns the raw configuration into values and gathers what is wrong.
type checker struct {
	path, text string
	wrong      []mistake
}

type mistake struct {
	line int
	text string
}

func (k *checker) fail(table, key, format string, args ...any) {
	line := k.line(table, key)
	k.wrong = append(k.wrong, mistake{line, fmt.Sprintf("%s:%d: [%s] %s: ", k.path, line, table, key) + fmt.Sprintf(format, args...)})
}

// err returns all that is wrong, as it stands in the file; nil for nothing.
func (k *checker) err() error {
	slices.SortStableFunc(k.wrong, func(a, b mistake) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for _, m := range k.wrong {
		errs = append(errs, errors.New(m.text))
	}
	return errors.Join(errs...)
}

// line finds a key, else its table, else the first line.
func (k *checker) line(table, key string) int {
	at, in := 1, ""
	for i, line := range strings.Split(k.text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = strings.Trim(line, "[] \t")
			if in == table {
				at = i + 1
			}
		}
		if name, _, ok := strings.Cut(line, "="); ok && in == table && strings.TrimSpace(name) == key {
			return i + 1
		}
	}
	return at
}

func (k *checker) config(r *raw) *config {
	c := &config{prefix: r.Hub.TopicPrefix, group: r.Hub.ShareGroup, db: k.file(r.Sink.Path)}
	k.broker(r, c)
	if c.prefix != "" && (!strings.HasSuffix(c.prefix, "/") || strings.ContainsAny(c.prefix, "+#")) {
		k.fail("hub", "topic_prefix", "%q: it ends with a slash and has no + or #", c.prefix)
	}
	if c.group == "" || strings.ContainsAny(c.group, "/+#") {
		k.fail("hub", "share_group", "%q: a name without /, + and #", c.group)
	}
	c.memory = r.Hub.ChainMemory << 20
	if r.Hub.ChainMemory == 0 {
		c.memory = -1
	}
	if r.Hub.ChainMemory < 0 || r.Hub.ChainMemory > 64<<10 {
		k.fail("hub", "chain_memory_mib", "%d: 0 to 65536", r.Hub.ChainMemory)
	}
	if r.Hub.KeyFile == "" {
		k.fail("hub", "key_file", "is missing: make one with skyhub key new FILE")
	} else if key, err := readKey(k.file(r.Hub.KeyFile)); err != nil {
		k.fail("hub", "key_file", "%v", err)
	} else {
		c.master = key
	}
	if r.Sink.Kind != "sqlite" {
		k.fail("sink", "kind", "%q: there is \"sqlite\"", r.Sink.Kind)
	}
	if r.Sink.Path == "" {
		k.fail("sink", "path", "is missing: the database file, made if it is not there")
	}
	return c
}

func (k *checker) broker(r *raw, c *config) {
	b := &r.Broker
	c.session = mqtt.Options{
		Version:       byte(b.MQTT),
		ClientID:      b.ClientID,
		User:          b.User,
		KeepAlive:     k.duration("keep_alive", b.KeepAlive, 5*time.Second, 12*time.Hour),
		SessionExpiry: k.duration("session_expiry", b.SessionExpiry, 0, 100*365*24*time.Hour),
		MaxPacket:     2 << 20, // the largest batch is 1 MiB
	}
	if b.MQTT != 4 && b.MQTT != 5 {
		k.fail("broker", "mqtt", "%d: 5, or 4 for MQTT 3.1.1", b.MQTT)
	}
	if c.session.ClientID == "" {
		host, err := os.Hostname()
		if err != nil {
			k.fail("broker", "client_id", "is missing and there is no host name to make it of: %v", err)
		}
		c.session.ClientID = "skyhub-" + host
	}
	if b.PasswordFile != "" {
		password, err := os.ReadFile(k.file(b.PasswordFile))
		if err != nil {
			k.fail("broker", "password_file", "%v", err)
		}
		c.session.Password = bytes.TrimRight(password, "\r\n")
	}
	k.address(r, c)
}

// address takes the URL apart.
func (k *checker) address(r *raw, c *config) {
	b := &r.Broker
	u, err := url.Parse(b.URL)
	ports := map[string]string{"tcp": "1883", "tls": "8883"}
	if err != nil || u.Hostname() == "" || ports[u.Scheme] == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		k.fail("broker", "url", "%q: tls://HOST:PORT, or tcp://HOST:PORT in the clear", b.URL)
		return
	}
	port := u.Port()
	if port == "" {
		port = ports[u.Scheme]
	}
	c.address = net.JoinHostPort(u.Hostname(), port)
	files := mqtt.TLSOptions{CAFile: k.file(b.CAFile), CertFile: k.file(b.CertFile), KeyFile: k.file(b.KeyFile)}
	switch {
	case u.Scheme == "tls":
		c.tls = &files
	case files.CAFile+files.CertFile+files.KeyFile != "":
		k.fail("broker", "url", "%q: ca_file, cert_file and key_file need tls://", b.URL)
	}
	if (files.CertFile == "") != (files.KeyFile == "") {
		k.fail("broker", "cert_file", "cert_file and key_file go together")
	}
}

func (k *checker) duration(key, s string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil || d < least || d > most {
		k.fail("broker", key, "%q: a time from %v to %v, such as \"90s\" or \"24h\"", s, least, most)
	}
	return d
}

// file returns the path that a key names: from the configuration's own folder
// on, or one of systemd's credentials.
func (k *checker) file(name string) string {
	if credential, ok := strings.CutPrefix(name, "credential:"); ok {
		return filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), credential)
	}
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(k.path), name)
}
