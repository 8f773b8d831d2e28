package point_test

import (
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	. "skyhaul/edge/point"
)

// hourly is the record of an Enron flow computer: 3 December 2004, 8 o'clock.
var hourly = Archive{
	Stamp: stamp, ID: 900, Source: "meter 1", Name: "hourly", Index: 10,
	Time: 1102086000000, TimeQuality: MakeQuality(Uncertain, Clock), Zone: "America/Denver", DayStart: 9 * time.Hour,
	Layout: Layout{
		{Name: "date", Type: Float32, Unit: MMDDYY},
		{Name: "time", Type: Float32, Unit: HHMMSS},
		{Name: "volume", Type: Uint32, Order: "CDAB", Unit: "m3"},
		{Name: "what", Type: Uint16, Unit: Bitmap, Bits: []Bit{{9, "operator"}, {15, "alarm"}}},
	},
	Raw: []byte{0x47, 0xEA, 0xF8, 0, 0x47, 0x9C, 0x40, 0, 0x12, 0x34, 0x00, 0x05, 0x82, 0x01, 0xEE},
}

func TestArchiveBytesAreFrozen(t *testing.T) {
	text := func(s string) string { return hex.EncodeToString([]byte{byte(len(s))}) + hex.EncodeToString([]byte(s)) }
	checkGolden(t, hourly.Append(nil), `
		05 01 06 07 c9f1f82a f6f5bdbdc068
		00 8407 0a 80b68e979340 4b 9c04`+
		text("meter 1")+text("hourly")+text("America/Denver")+`
		04`+text("date float32 mmddyy")+text("time float32 hhmmss")+text("volume uint32:CDAB m3")+text("what uint16 bits 9=operator 15=alarm")+`
		47eaf800 479c4000 12340005 8201 ee`)
}

func TestArchiveComesBack(t *testing.T) {
	event := hourly
	event.Kind, event.Layout, event.Raw, event.Zone, event.DayStart = Events, nil, []byte{}, "", 0
	for _, want := range []Archive{hourly, event} {
		var got Archive
		if err := got.Decode(want.Append(nil)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDamagedArchiveIsMalformed(t *testing.T) {
	whole := hourly.Append(nil)
	for n := range len(whole) - len(hourly.Raw) {
		if err := new(Archive).Decode(whole[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for name, change := range map[string]func(*Archive){
		"kind":      func(a *Archive) { a.Kind = Events + 1 },
		"quality":   func(a *Archive) { a.TimeQuality = 0xff },
		"day":       func(a *Archive) { a.DayStart = 24 * time.Hour },
		"type":      func(a *Archive) { a.Layout = Layout{{Name: "x", Type: Bool}} },
		"order":     func(a *Archive) { a.Layout = Layout{{Name: "x", Type: Int16, Order: "AB"}} },
		"fields":    func(a *Archive) { a.Layout = make(Layout, MaxFields+1) },
		"same name": func(a *Archive) { a.Layout = Layout{hourly.Layout[0], hourly.Layout[0]} },
		"no field":  func(a *Archive) { a.Layout = Layout{{}} },
	} {
		a := hourly
		change(&a)
		if err := new(Archive).Decode(a.Append(nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := new(Archive).Decode(append(whole, make([]byte, MaxArchiveRaw)...)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
}

func TestLayoutReadsWhatIsWhole(t *testing.T) {
	want := []uint64{0x47EAF800, 0x479C4000, 0x00051234, 0x8201}
	if diff := cmp.Diff(want, hourly.Layout.Values(hourly.Raw)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[:3], hourly.Layout.Values(hourly.Raw[:13])); diff != "" {
		t.Error(diff)
	}
	if n := hourly.Layout.Size(); n != 14 {
		t.Errorf("size %d, want 14", n)
	}
	for raw, names := range map[uint64]string{0x8201: "0 operator alarm", 0: "", 0x200: "operator"} {
		if got := hourly.Layout[3].Set(raw); got != names {
			t.Errorf("bits of %x: %q, want %q", raw, got, names)
		}
	}
	if got := hourly.Layout[2].Set(1); got != "" {
		t.Errorf("a field that is no bitmap has bits: %q", got)
	}
}

func TestOrderOfBytesInARecord(t *testing.T) {
	b := []byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0}
	for text, want := range map[string]uint64{
		"x uint32":           0x12345678,
		"x uint32:ABCD":      0x12345678,
		"x uint32:CDAB":      0x56781234,
		"x uint32:BADC":      0x34127856,
		"x int16:BA":         0x3412,
		"x uint64:HGFEDCBA":  0xf0debc9a78563412,
		"x float64:GHEFCDAB": 0xdef09abc56781234,
	} {
		l, err := ParseLayout([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Values(b); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %x, want %x", text, got, want)
		}
	}
}

func TestFieldsThatCanNotBe(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "want a name, a type",
		"P":                                 "want a name, a type",
		"P f32 kPa":                         `type "f32": want one of int16, uint16`,
		"P bool":                            `type "bool"`,
		"P float32: kPa":                    `byte order "": want each of the letters ABCD once`,
		"P uint16:ABCD":                     "letters AB once",
		"P uint32:AABB":                     "letters ABCD once",
		"P float32 kg per hour":             `"per" is one word too many`,
		"P uint16 bits 16=x":                `bit "16=x": want a number below 16`,
		"P uint16 bits 1":                   `bit "1"`,
		"P uint16 bits 1= 2=y":              `bit "1="`,
		"P uint16 bits 1=x 1=y":             "bit 1 has two names",
		strings.Repeat("P", 33) + " uint16": "longer than 32 bytes",
		"P\x00 uint16":                      "not to be printed",
		"P uint16 \xff":                     "not to be printed",
	} {
		if _, err := ParseField(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	_, err := ParseLayout([]string{"- uint16", "- uint16", "a int16", "a int32"})
	if want := `field 4 "a int32": there is another "a" before it`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := ParseLayout(make([]string, MaxFields+1)); err == nil {
		t.Error("too many fields were taken")
	}
}

func TestFieldComesBackAsItIsWritten(t *testing.T) {
	for text, want := range map[string]string{
		" date  float32\tmmddyy ":          "date float32 mmddyy",
		"x uint32:ABCD":                    "x uint32",
		"what uint16 bits 15=alarm 09=set": "what uint16 bits 9=set 15=alarm",
		"what uint16 bits":                 "what uint16 bits",
		"Sm³ float64:HGFEDCBA Sm³/h":       "Sm³ float64:HGFEDCBA Sm³/h",
	} {
		f, err := ParseField(text)
		if err != nil || f.String() != want {
			t.Errorf("%q: %q, %v", text, f.String(), err)
		}
	}
}

func FuzzArchive(f *testing.F) {
	f.Add(hourly.Append(nil))
	r := rand.New(rand.NewPCG(1, 2))
	a := Archive{Kind: Events, ID: ID(r.Uint32()), Index: math.MaxUint32, Time: math.MinInt64, Raw: make([]byte, MaxArchiveRaw)}
	f.Add(a.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Archive
		if a.Decode(b) != nil {
			return
		}
		if back := a.Append(nil); !cmp.Equal(b, back) {
			t.Errorf("% x\ncame back as\n% x", b, back)
		}
		a.Layout.Values(a.Raw)
	})
}

func FuzzField(f *testing.F) {
	f.Add("what uint16:BA bits 9=operator 15=alarm")
	f.Add("date float32 mmddyy")
	f.Fuzz(func(t *testing.T, text string) {
		field, err := ParseField(text)
		if err != nil {
			return
		}
		again, err := ParseField(field.String())
		if err != nil || !cmp.Equal(field, again) {
			t.Errorf("%q became %q, %v", text, field.String(), err)
		}
	})
}
