package config

import (
	"crypto/sha256"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"golang.org/x/text/encoding/charmap"

	"skyhaul/edge/point"
	"skyhaul/edge/scan"
	"skyhaul/link/window"
	"skyhaul/modbus"
)

const minimal = `
[site]
id = "well-17"
[[line]]
name = "rs485"
device = "/dev/ttyUSB0"
[[endpoint]]
name = "plc"
address = "192.0.2.10:502"
[[unit]]
name = "meter-1"
on = "rs485"
id = 1
addresses = "modicon"
[[unit.point]]
id = 1
tag = "PT-101"
address = 40001
[[group]]
name = "fast"
interval = "1s"
[[uplink]]
broker = "tls://broker.example:8883"
hub_key_file = "credential:site-key"
`

// write puts files into a new folder and returns the path of the first.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, files[0])
}

func load(t *testing.T, text string, more ...string) (*Config, error) {
	t.Helper()
	return Load(write(t, append([]string{"skyhaul.toml", text}, more...)...))
}

// allowUnexported lets the comparison see into orders and windows.
var exported = cmp.Exporter(func(reflect.Type) bool { return true })

func TestReferenceShowsTheDefaults(t *testing.T) {
	want, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	// The alternatives of a choice can't all be given at once.
	skip := regexp.MustCompile(`^# (bit|order|raw_\w+|eng_\w+|valid_\w+|lolo|lo|hi|hihi|cron|duration|every|open|offset|points|group|display_name|client_id|quota)\b`)
	uncommented := regexp.MustCompile(`(?m)^# ([a-z0-9_]+ = .*)$`).ReplaceAllStringFunc(Reference, func(line string) string {
		if skip.MatchString(line) {
			return line
		}
		return strings.TrimPrefix(line, "# ")
	})
	for name, text := range map[string]string{"as it stands": Reference, "with every default given": uncommented} {
		got, err := load(t, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got.Hash = want.Hash
		if diff := cmp.Diff(want, got, exported); diff != "" {
			t.Errorf("%s: the reference differs from the code (-code +reference):\n%s", name, diff)
		}
	}
}

// withOptions is the reference with all that is optional as a whole.
func withOptions() string {
	return regexp.MustCompile(`(?m)^#   ([\[a-z])`).ReplaceAllString(Reference, "$1")
}

func TestReferenceWithAllOptionsIsRight(t *testing.T) {
	if _, err := load(t, withOptions()); err != nil {
		t.Error(err)
	}
}

func TestReferenceShowsEveryKey(t *testing.T) {
	var values map[string]any
	if err := toml.Unmarshal([]byte(withOptions()), &values); err != nil {
		t.Fatal(err)
	}
	r := &reader{hash: sha256.New()}
	r.config(newTable(&r.probs, "", values, func(key string) string { return key }))
	var asked []string
	for _, table := range r.probs.tables {
		asked = slices.AppendSeq(asked, maps.Keys(table.known))
	}
	shown := regexp.MustCompile(`(?m)^(?:# )?([a-z0-9_]+) = |^\[+([a-z.]+)\]`).FindAllStringSubmatch(withOptions(), -1)
	var names []string
	for _, m := range shown {
		names = append(names, m[1]+m[2][strings.LastIndexByte(m[2], '.')+1:])
	}
	slices.Sort(asked)
	for _, key := range slices.Compact(asked) {
		if !slices.Contains(names, key) {
			t.Errorf("reference.toml does not show the key %q", key)
		}
	}
	for _, name := range names {
		if !slices.Contains(asked, name) {
			t.Errorf("reference.toml shows %q, which nothing reads", name)
		}
	}
	if len(asked) < 80 {
		t.Errorf("only %d keys were asked for: the test looked at too little", len(asked))
	}
}

func TestMistakesAreOneClearLineEach(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"no TOML", `id = "well-17"`, `id = "well-17`, `skyhaul.toml:3: not TOML: `},
		{"unknown key", `device =`, `devise =`, `skyhaul.toml:6: line "rs485": unknown key "devise": did you mean "device"?`},
		{"site id", `"well-17"`, `"Well 17"`, `skyhaul.toml:3: [site]: id: "Well 17" is no site id: use a to z, 0 to 9 and -, 32 at most`},
		{"missing table", "[site]\nid", "[sight]\nid", `skyhaul.toml:1: site: is missing: begin with [site] and its id`},
		{"number as text", `id = 1`, `id = "one"`, `skyhaul.toml:13: unit "meter-1": id: "one" is not a whole number`},
		{"out of range", `id = 1`, `id = 248`, `skyhaul.toml:13: unit "meter-1": id: 248 is not between 1 and 247`},
		{"duration", `"1s"`, `"1 sec"`, `skyhaul.toml:21: group "fast": interval: "1 sec" is not a duration: write it as 500ms, 1s, 15m or 720h`},
		{"word", `"modicon"`, `"moodicon"`, `skyhaul.toml:14: unit "meter-1": addresses: "moodicon" is not one of modicon, zero-based, one-based`},
		{"unknown line", `on = "rs485"`, `on = "rs422"`, `skyhaul.toml:12: unit "meter-1": on: there is no line or endpoint "rs422"`},
		{"address", `40001`, `50001`, `skyhaul.toml:18: tag "PT-101": address: 50001 is no address in modicon notation: 40001 is the first holding register, 30001 input register, 10001 discrete input, 1 coil`},
		{"two addresses", `address = 40001`, "address = 40001\ntable = \"input\"", `skyhaul.toml:18: tag "PT-101": address: 40001 is in table holding by its first digit, but table says input`},
		{"type", `address = 40001`, "address = 40001\ntype = \"float\"", `skyhaul.toml:19: tag "PT-101": type: "float" is not one of bool, int16,`},
		{"order", `address = 40001`, "address = 40001\ntype = \"float32\"\norder = \"ABDC2\"", `skyhaul.toml:20: tag "PT-101": order: "ABDC2" is no order of the 4 bytes of float32`},
		{"bit", `address = 40001`, "address = 40001\ntype = \"bool\"", `tag "PT-101": bit: a bool in a register needs its bit`},
		{"limits", `address = 40001`, "address = 40001\nhi = 5\nhihi = 4", `skyhaul.toml:20: tag "PT-101": hihi: 4 is not above the limit before it, 5: lolo < lo < hi < hihi`},
		{"scale twice", `address = 40001`, "address = 40001\nscale = 2\nraw_low = 4", `tag "PT-101": scale: give either scale and offset, or raw_low`},
		{"group", `address = 40001`, "address = 40001\ngroup = \"slow\"", `skyhaul.toml:17: tag "PT-101": group: there is no group "slow": there are ["fast"]`},
		{"broker", `tls://broker.example:8883`, `https://broker.example`, `skyhaul.toml:23: [[uplink]]: broker: "https://broker.example": the scheme "https" is neither tcp nor tls`},
		{"secret without user", `hub_key_file`, "password_file = \"p\"\nhub_key_file", `[[uplink]]: user: is missing beside password_file`},
		{"cron", `hub_key_file = "credential:site-key"`, "hub_key_file = \"k\"\n[uplink.window]\ncron = \"61 * * * *\"", `skyhaul.toml:26: [uplink.window]: cron: `},
		{"two windows", `hub_key_file = "credential:site-key"`, "hub_key_file = \"k\"\n[uplink.window]\ncron = \"1 * * * *\"\nevery = \"1h\"", `[uplink.window]: cron: give either cron and duration, or every and open`},
		{"quota", `[[uplink]]`, "[buffer]\nquota = \"1MiB\"\n[[uplink]]", `skyhaul.toml:23: [buffer]: quota: "1MiB" is too small: 64MiB are the least`},
		{"word of send", `address = 40001`, "address = 40001\nsend = \"some\"", `skyhaul.toml:19: tag "PT-101": send: "some" is not one of all, none, change, deadband(0.5), deadband(0.5%), swinging_door(0.5)`},
		{"open bracket", `address = 40001`, "address = 40001\nsend = \"deadband(1\"", `send: "deadband(1" is not one of all`},
		{"loss in custody", `address = 40001`, "address = 40001\nlane = \"custody\"\nsend = \"deadband(0.1)\"", `skyhaul.toml:20: tag "PT-101": send: "deadband(0.1)" can't be in lane custody, which keeps every reading: say all or none, or lane history`},
		{"change in custody", `address = 40001`, "address = 40001\nlane = \"custody\"\nsend = \"change\"", `send: "change" can't be in lane custody`},
		{"summary in custody", `address = 40001`, "address = 40001\nlane = \"custody\"\nsend = \"summary(5m)\"", `send: "summary(5m)" can't be in lane custody`},
		{"negative deadband", `address = 40001`, "address = 40001\nsend = \"deadband(-0.1)\"", `send: "deadband(-0.1)": "-0.1" is not an error above 0: write it in engineering units as 0.5, or in percent of the span as 0.5%; for none at all say change`},
		{"deadband of nothing", `address = 40001`, "address = 40001\nsend = \"deadband(0)\"", `send: "deadband(0)": "0" is not an error above 0`},
		{"deadband of no number", `address = 40001`, "address = 40001\nsend = \"swinging_door(NaN)\"", `send: "swinging_door(NaN)": "NaN" is not an error above 0`},
		{"percent of nothing", `address = 40001`, "address = 40001\nsend = \"deadband(0.5%)\"", `send: "deadband(0.5%)": percent of what? Give eng_low and eng_high, or valid_low and valid_high, or write the error in engineering units`},
		{"all of the span", `address = 40001`, "address = 40001\nvalid_low = 0\nvalid_high = 10\nsend = \"deadband(100%)\"", `send: "deadband(100%)": 100 % is the whole span of the point`},
		{"deadband of a bool", `address = 40001`, "address = 40001\nbit = 1\nsend = \"swinging_door(1)\"", `send: "swinging_door(1)" can't be: a bool has no error between 0 and 1: say change`},
		{"max_silence", `address = 40001`, "address = 40001\nsend = \"change\"\nmax_silence = \"1ms\"", `max_silence: "1ms" is not between 1s and 24h0m0s`},
		{"silence of a scan", `address = 40001`, "address = 40001\nsend = \"change\"\nmax_silence = \"1500ms\"", `skyhaul.toml:17: tag "PT-101": max_silence: 1.5s is less than two scans of group "fast", which are 1s apart, so nothing would be left out: make it longer, or send all`},
		{"summary of nothing", `address = 40001`, "address = 40001\nsend = \"summary()\"", `send: "summary()": "" is not an interval of 1s to 24h: write it as 1m, 5m or 1h`},
		{"summary of a scan", `address = 40001`, "address = 40001\nsend = \"summary(1s)\"", `skyhaul.toml:17: tag "PT-101": send: a summary of 1s has less than two scans of group "fast", which are 1s apart: make it longer, or say all`},
		{"statistic", `address = 40001`, "address = 40001\nsend = \"summary(5m: median)\"", `send: "summary(5m: median)": "median" is not one of count, min, mean, max, last`},
		{"no statistic", `address = 40001`, "address = 40001\nsend = \"summary(5m: )\"", `send: "summary(5m: )": no statistics after the colon`},
		{"no group", "[[group]]\nname = \"fast\"\ninterval = \"1s\"\n", ``, `skyhaul.toml:17: tag "PT-101": group: there is none: write a [[group]] with a name and an interval`},
		{"listen", `[[uplink]]`, "[status]\nlisten = \"8080\"\n[[uplink]]", `skyhaul.toml:23: [status]: listen: "8080" is not host:port`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, strings.Replace(minimal, c.old, c.new, 1))
			if err == nil {
				t.Fatal("the mistake was taken")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestSendBecomesARule(t *testing.T) {
	c, err := load(t, strings.Replace(minimal, "[[unit.point]]\nid = 1\ntag = \"PT-101\"\naddress = 40001\n", "points = \"p.csv\"\n", 1), "p.csv", `id;tag;address;raw_low;raw_high;eng_low;eng_high;valid_low;valid_high;send;max_silence
1;A;40001;;;;;;;change;
2;B;40002;;;;;;;deadband(0.25);1h
3;C;40003;4095;0;-20;60;0;5;deadband( 0.5 % );
4;D;40004;;;;;-10;40;swinging_door (1%);
5;E;40005;;;;;;;summary(5m);
6;F;40006;;;;;;;summary(90s: last max,max);
7;G;40007;;;;;;;all;1h
8;H;40008;;;;;;;none;
`)
	if err != nil {
		t.Fatal(err)
	}
	type sent struct {
		Lane    point.Lane
		Local   bool
		Rule    point.Rule
		Summary scan.Summary
	}
	want := []sent{
		{Lane: point.History, Rule: point.Rule{Method: point.OnChange, Silence: 15 * time.Minute}},
		{Lane: point.History, Rule: point.Rule{Method: point.Deadband, Error: 0.25, Silence: time.Hour}},
		{Lane: point.History, Rule: point.Rule{Method: point.Deadband, Error: 0.4, Silence: 15 * time.Minute}},
		{Lane: point.History, Rule: point.Rule{Method: point.SwingingDoor, Error: 0.5, Silence: 15 * time.Minute}},
		{Lane: point.Trend, Summary: scan.Summary{Interval: 5 * time.Minute, Statistics: point.Weighted}},
		{Lane: point.Trend, Summary: scan.Summary{Interval: 90 * time.Second, Statistics: point.Statistics(0).With(point.Max).With(point.Last)}},
		{Lane: point.History},
		{Lane: point.History, Local: true},
	}
	var got []sent
	for _, p := range c.Groups[0].Points {
		got = append(got, sent{p.Lane, p.Local, p.Rule, p.Summary})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOneMistakeIsOneLine(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"wrong type of a needed key", `device = "/dev/ttyUSB0"`, `device = 5`},
		{"no table", "[site]\nid = \"well-17\"", `site = "well-17"`},
		{"no group for any point", "[[group]]\nname = \"fast\"\ninterval = \"1s\"\n", "[[unit.point]]\nid = 2\ntag = \"B\"\naddress = 40002\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, strings.Replace(minimal, c.old, c.new, 1))
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	path := write(t, "skyhaul.toml", minimal+"password_file = \"secret\"\nuser = \"u\"\n[buffer]\ndir = \"/b\"\n")
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(path), "secret"); c.Uplink.PasswordFile != want || c.Uplink.HubKeyFile != "credential:site-key" || c.Buffer.Dir != "/b" {
		t.Errorf("password %s, want %s; key %s; buffer %s", c.Uplink.PasswordFile, want, c.Uplink.HubKeyFile, c.Buffer.Dir)
	}
}

func TestOverloadedLineIsRefusedWhereItsGroupStands(t *testing.T) {
	_, err := load(t, strings.Replace(minimal, `"1s"`, `"50ms"`, 1)+"[[unit]]\nname = \"m2\"\non = \"rs485\"\nid = 2\naddresses = \"modicon\"\n[[unit.point]]\nid = 2\ntag = \"B\"\naddress = 40001\n")
	want := `skyhaul.toml:21: group "fast": a pass over line "rs485" on /dev/ttyUSB0 takes 56ms (2 requests of 25.8ms and 4 bytes of values at 1.042ms: 9600 8N1) and is asked for every 50ms: together the groups take 112 % of the line; lengthen the intervals 1.12 times or more, or raise the baud rate`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	text := strings.NewReplacer(`"well-17"`, `"W"`, `id = 1`, `id = 0`, `"1s"`, `"x"`).Replace(minimal)
	_, err := load(t, text)
	if got := strings.Count(err.Error(), "\n") + 1; got != 4 {
		t.Errorf("%d lines, want 4:\n%v", got, err)
	}
}

const tagList = `id;tag;description;address;type;unit;scale;hi;group
1;PT-101;line pressure;40001;float32;bar;;60;
2;TT-101;;40003;int16;degC;0.1;;

3;XV-7;valve open;10001;bool;;;;
`

func listed(list string) (string, []string) {
	text := regexp.MustCompile(`(?s)\[\[unit.point\]\].*\[\[group\]\]`).ReplaceAllString(minimal, "points = \"tags.csv\"\n[[group]]")
	return text, []string{"tags.csv", list}
}

func TestTagListIsRead(t *testing.T) {
	text, list := listed("\ufeff" + tagList)
	c, err := load(t, text, list...)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Groups) != 1 || len(c.Groups[0].Points) != 3 {
		t.Fatalf("got %+v", c.Groups)
	}
	ps := c.Groups[0].Points
	if p := ps[0]; p.ID != 1 || p.Type != point.Float32 || p.Addr != 0 || p.Function != modbus.FuncReadHoldingRegisters ||
		p.Format.Registers() != 2 || len(p.Alarms) != 1 || p.Column.Unit != "bar" {
		t.Errorf("first: %+v", p)
	}
	if p := ps[1]; p.Scale.Factor != 0.1 || p.Addr != 2 || p.Type != point.Int16 {
		t.Errorf("second: %+v", p)
	}
	if p := ps[2]; p.Function != modbus.FuncReadDiscreteInputs || p.Addr != 0 || p.Type != point.Bool {
		t.Errorf("third: %+v", p)
	}
}

func TestTagListIsReadAsASpreadsheetSavesIt(t *testing.T) {
	const list = "id;tag;description;address;type;unit;scale;hi\r\n1;PT-101;Gehäuse;40001;float32;°C;;60\r\n2;TT-101;;40003;int16;°C;0.25;1234.5\r\n"
	text, files := listed(list)
	want, err := load(t, text, files...)
	if err != nil {
		t.Fatal(err)
	}
	german := strings.NewReplacer("0.25", "0,25", "1234.5", "1.234,5").Replace(list)
	cp1252, err := charmap.Windows1252.NewEncoder().String(german)
	if err != nil {
		t.Fatal(err)
	}
	var wide strings.Builder
	for _, u := range utf16.Encode([]rune("\ufeff" + strings.ReplaceAll(german, ";", "\t"))) {
		wide.WriteByte(byte(u))
		wide.WriteByte(byte(u >> 8))
	}
	for name, saved := range map[string]string{
		"UTF-8 with BOM": "\ufeff" + list,
		"comma":          strings.ReplaceAll(list, ";", ","),
		"Windows-1252":   cp1252,
		"Unicode text":   wide.String(),
		"Macintosh":      strings.ReplaceAll(list, "\r\n", "\r"),
		"separator told": "sep=|\r\n" + strings.ReplaceAll(list, ";", "|"),
	} {
		text, files := listed(saved)
		got, err := load(t, text, files...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want.Groups, got.Groups, exported); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTagListMistakesNameTheRow(t *testing.T) {
	for _, c := range []struct{ name, list, want string }{
		{"duplicate tag", tagList + "4;PT-101;;40010;;;;;\n", `tags.csv:6: tag "PT-101": tag: there is one of this name at tags.csv:2`},
		{"duplicate id", tagList + "2;PT-102;;40010;;;;;\n", `tags.csv:6: tag "PT-102": id: 2 is the id of tag "TT-101" (tags.csv:3) already`},
		{"overlap", tagList + "4;PT-102;;40002;;;;;\n", `tags.csv:6: tag "PT-102": uint16 at wire 1 overlaps tag "PT-101" (float32 at wire 0 to 1): one of the addresses or types is wrong`},
		{
			"swapped columns", strings.Replace(strings.Replace(tagList, "description;address", "address;description", 1), ";;40003", ";x;40003", 1),
			`tags.csv:2: tag "PT-101": address: "line pressure" is not a whole number`,
		},
		{"unknown column", strings.Replace(tagList, "scale", "sclae", 1), `tags.csv:1: unknown column "sclae": did you mean "scale"?`},
		{"heading of another list", strings.Replace(tagList, "unit", "Einheit", 1), "tags.csv:1: unknown column \"Einheit\": here it is called \"unit\"; `skyhaul init"},
		{"no header", "", `tags.csv: no header line with the names of the columns`},
		{"points where the header belongs", "1;PT-101;40001\n", `tags.csv:1: no column tag: a line must name the columns, as id,tag,address,type; the first one is "1;PT-101;40001"`},
		{"column twice", strings.Replace(tagList, "description", "tag", 1), `tags.csv:1: there are two columns "tag"`},
		{"no points", "id,tag,address\n", `skyhaul.toml:15: unit "meter-1": points: there are no points in tags.csv`},
		{"past the end", tagList + "4;PT-102;;465536;float32;;;;\n", `address: a float32 of 2 registers does not fit before the end of the table`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, list := listed(c.list)
			_, err := load(t, text, list...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestColumnsSwappedThroughoutAreOneMistake(t *testing.T) {
	list := "id,tag,address,description\n"
	for _, row := range []string{"1,A", "2,B", "3,C", "4,D", "5,E"} {
		list += row + ",pressure,4000" + row[:1] + "\n"
	}
	text, files := listed(list)
	_, err := load(t, text, files...)
	want := `tags.csv:2: tag "A": address: "pressure" is not a whole number (and 4 more rows like it; column description holds numbers only: are the two swapped?)`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if n := strings.Count(err.Error(), "\n"); n > 1 {
		t.Errorf("one mistake makes %d lines:\n%v", n+1, err)
	}
}

func TestNotationsMeetAtTheSameWireAddress(t *testing.T) {
	for _, c := range []struct{ addresses, address string }{
		{"modicon", "40108"}, {"modicon", "400108"}, {"one-based", "108"}, {"zero-based", "107"}, {"zero-based", "0x6B"},
	} {
		r := &reader{}
		row := newTable(&r.probs, "row", map[string]any{"address": c.address}, func(string) string { return "here" })
		fn, addr := row.address(c.addresses)
		if err := r.probs.err(); err != nil || fn != modbus.FuncReadHoldingRegisters || addr != 107 {
			t.Errorf("%s %s is function %d address %d, %v; V1.1b3 section 6.3 reads register 108 at 6B", c.addresses, c.address, fn, addr, err)
		}
	}
}

func TestRangeMakesTheScale(t *testing.T) {
	r := &reader{}
	row := newTable(&r.probs, "row", map[string]any{"raw_low": "800", "raw_high": "4000", "eng_low": "-10", "eng_high": "90"}, func(string) string { return "here" })
	s := row.scale(point.Uint16)
	if err := r.probs.err(); err != nil {
		t.Fatal(err)
	}
	if low, high := 800*s.Factor+s.Offset, 4000*s.Factor+s.Offset; low != -10 || high != 90 {
		t.Errorf("the ends of the range become %v and %v", low, high)
	}
}

func TestWindowIsReadAsGiven(t *testing.T) {
	c, err := load(t, minimal+"[uplink.window]\nevery = \"6h\"\nopen = \"10m\"\n")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 6, 5, 0, 0, time.UTC)
	if s := c.Uplink.Window.At(at); !s.Open || !s.Until.Equal(at.Add(5*time.Minute)) {
		t.Errorf("at %v: %+v", at, s)
	}
	if c, err = load(t, minimal); err != nil || c.Uplink.Window != (window.Always{}) {
		t.Errorf("without a window: %v, %v", c.Uplink.Window, err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(minimal, tagList)
	f.Add(Reference, "")
	f.Fuzz(func(t *testing.T, text, list string) {
		var probs problems
		readTagList(&probs, "tags.csv", []byte(list))
		parse("skyhaul.toml", []byte(text))
	})
}

func TestStarterIsACorrectConfiguration(t *testing.T) {
	if _, err := load(t, Starter, "points.csv", StarterPoints); err != nil {
		t.Error(err)
	}
	whole := regexp.MustCompile(`(?m)^# (\[|broker|hub_key|every|open)`).ReplaceAllString(Starter, "$1")
	if c, err := load(t, whole, "points.csv", StarterPoints); err != nil || c.Uplink == nil {
		t.Errorf("with its uplink: %v", err)
	}
}
