// Package config turns a file and its tag lists into checked values that are
// the other packages' own types. Nothing downstream checks again. Every mistake
// is told in one go, each in a line that names the file, the line, the key, the
// value found and what to do.
package config

import (
	"crypto/sha256"
	_ "embed" // the reference
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/edge/profile"
	"skyhaul/edge/scan"
	"skyhaul/link/batch"
	"skyhaul/modbus"
)

// Reference is the file that shows every key with its default.
//
//go:embed reference.toml
var Reference string

// Config is a checked configuration.
type Config struct {
	Site   Site
	Lines  []Line // serial lines and endpoints
	Units  []Unit
	Groups []Group
	// Harvests are the units that keep archives.
	Harvests []Harvest
	Gateways []Gateway
	Buffer   Buffer
	Uplink   *Uplink // nil: the site only buffers
	Status   Status
	// Hash names the configuration: the first 8 bytes of SHA-256 over the file
	// and its tag lists.
	Hash [8]byte
}

// Site says where the appliance stands.
type Site struct {
	ID          string // [a-z0-9-]{1,32}
	DisplayName string
	Location    *time.Location // for what people read
	DayStart    time.Duration  // time of day at which a gas day begins
	TopicPrefix string         // "" or ending in a slash
}

// Group is a scan group on one line or endpoint. Points of one configured group
// that lie on several lines make a group on each.
type Group struct {
	Line string // name of the line or endpoint
	scan.Group
}

// Unit names a unit for people.
type Unit struct {
	Name, Line string
	ID         modbus.UnitID
	// Profile names the instrument that the unit is to be, "" where nobody said;
	// Checks are what its values then keep to, by tag.
	Profile string
	Checks  map[string]profile.Check
}

// Buffer says where and for how long readings are kept.
type Buffer struct {
	Dir    string
	Sync   time.Duration
	Quota  int64 // bytes; 0: as much as the file system has
	Retain map[point.Lane]time.Duration
	// KeyFile holds the key that encrypts the buffer: a path or credential:NAME;
	// "" writes in the clear.
	KeyFile string
	// WhenFull says what becomes of the readings in lane history that the hub
	// has not, when there is no space for new ones.
	WhenFull bufferstore.Policy
}

// Status says where the daemon tells of itself.
type Status struct {
	Listen string // host:port of the page; "" for none
	Socket string // path of a Unix socket; "" for none
}

// maxFile bounds a configuration file and a tag list, in bytes.
const maxFile = 16 << 20

// Load reads and checks a configuration file and the tag lists it names.
func Load(path string) (*Config, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: %d bytes, %d are the most", path, info.Size(), maxFile)
	}
	return os.ReadFile(path)
}

// parse checks the text of a file; the lists it names lie relative to path.
func parse(path string, text []byte) (*Config, error) {
	name := filepath.Base(path)
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			row, _ := d.Position()
			return nil, fmt.Errorf("%s:%d: not TOML: %s", name, row, strings.TrimPrefix(d.Error(), "toml: "))
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	at := locate(text)
	hash := sha256.New()
	hash.Write(text)
	r := &reader{dir: filepath.Dir(path), hash: hash}
	c := r.config(newTable(&r.probs, "", values, func(key string) string { return fmt.Sprintf("%s:%d", name, at.line(key)) }))
	r.probs.finish()
	if len(r.probs.errs) == 0 {
		r.overloaded(c)
	}
	if err := r.probs.err(); err != nil {
		return nil, err
	}
	copy(c.Hash[:], hash.Sum(nil))
	return c, nil
}

// config reads the whole file.
func (r *reader) config(root *table) *Config {
	c := &Config{Site: r.site(root), Buffer: r.buffer(root)}
	c.Lines = r.lines(root)
	units := r.units(root, c.Lines, c.Site)
	r.mixed(root, c.Lines)
	for _, u := range units {
		c.Units = append(c.Units, Unit{u.name, u.line, u.id, u.profile, u.checks})
		if u.harvest != nil {
			c.Harvests = append(c.Harvests, Harvest{u.line, *u.harvest})
		}
	}
	c.Groups = r.groups(root, units)
	c.Gateways = r.gateways(root, c.Lines, units)
	c.Uplink = r.uplink(root, c.Site)
	c.Status = r.status(root)
	return c
}

func (r *reader) site(root *table) (s Site) {
	t := root.sub("site", "[site]")
	if t == nil && !root.has("site") {
		root.fail("site", "is missing: begin with [site] and its id")
	}
	if t == nil {
		return s
	}
	s.ID = t.needText("id", "it names the site for ever")
	if s.ID != "" && !batch.ValidSite(s.ID) {
		t.fail("id", "%q is no site id: use a to z, 0 to 9 and -, 32 at most", s.ID)
	}
	s.DisplayName = t.text("display_name", s.ID)
	zone := t.text("timezone", "UTC")
	var err error
	if s.Location, err = time.LoadLocation(zone); err != nil {
		t.fail("timezone", "%q is no IANA time zone: use one as Europe/Oslo or UTC", zone)
		s.Location = time.UTC
	}
	s.DayStart = t.dayStart("gas_day_start")
	s.TopicPrefix = t.text("topic_prefix", "")
	if s.TopicPrefix != "" && (!strings.HasSuffix(s.TopicPrefix, "/") || strings.ContainsAny(s.TopicPrefix, "+#")) {
		t.fail("topic_prefix", "%q must end in a slash and hold neither + nor #", s.TopicPrefix)
	}
	return s
}

// policies are the words for what becomes of readings when the buffer is full.
var policies = map[string]bufferstore.Policy{
	"thin": bufferstore.Thin, "drop-oldest": bufferstore.DropOldest, "keep": bufferstore.Keep,
}

func (r *reader) buffer(root *table) Buffer {
	t := root.sub("buffer", "[buffer]")
	if t == nil {
		t = newTable(&r.probs, "[buffer]", nil, root.where)
	}
	const year = 8760 * time.Hour
	b := Buffer{
		Dir:    r.path(t.text("dir", "/var/lib/skyhaul")),
		Sync:   t.duration("sync", time.Second, 100*time.Millisecond, time.Minute),
		Quota:  t.size("quota", 0, 0, 1<<50),
		Retain: map[point.Lane]time.Duration{},

		KeyFile:  r.path(t.text("key_file", "")),
		WhenFull: policies[t.choice("when_full", "thin", "thin", "drop-oldest", "keep")],
	}
	if b.Quota > 0 && b.Quota < 64<<20 {
		t.fail("quota", "%s is too small: 64MiB are the least", show(t.values["quota"]))
	}
	retain := t.duration("retain", 720*time.Hour, 0, 10*year)
	for _, l := range point.Lanes() {
		b.Retain[l] = retain
	}
	b.Retain[point.Custody] = t.duration("retain_custody", 9600*time.Hour, 0, 10*year)
	return b
}

func (r *reader) status(root *table) Status {
	t := root.sub("status", "[status]")
	if t == nil {
		t = newTable(&r.probs, "[status]", nil, root.where)
	}
	s := Status{
		Listen: t.text("listen", "127.0.0.1:8080"),
		Socket: r.path(t.text("socket", "/run/skyhaul/status.sock")),
	}
	if s.Listen != "" {
		t.checkAddress("listen", s.Listen)
	}
	return s
}
