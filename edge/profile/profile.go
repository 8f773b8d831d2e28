// Package profile holds what is known of instruments that stand in the field:
// which of their registers carry what, in which unit and byte order, who says
// so, and how to tell that the unit on the line is one of them.
//
// A profile is a part of a configuration: the table of a unit as a site's file
// would have it, so that one reader checks both. A template is a profile of an
// instrument whose addresses every site chooses for itself: its points have no
// address, and a tag list is made of it to be filled in.
package profile

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Confidence says how sure the facts of a profile are.
type Confidence string

// The confidences.
const (
	High   Confidence = "high"   // the maker's document states all of it
	Medium Confidence = "medium" // it states the registers; something else is inferred
	Low    Confidence = "low"    // from memory or hearsay: compare with the instrument's display first
)

// Profile is what is known of one kind of instrument.
type Profile struct {
	Name       string     `toml:"-"`          // as a configuration names it: that of its file
	Title      string     `toml:"title"`      // maker and model
	Covers     []string   `toml:"covers"`     // other models with the same registers
	Source     string     `toml:"source"`     // the document, with its number and page
	Confidence Confidence `toml:"confidence"` // in the registers of this profile
	Notes      []string   `toml:"notes"`      // what to look at before use, each a sentence
	Template   bool       `toml:"template"`   // the points have no address
	// Identity is a part of what the instrument says of itself, by function 43
	// or 17, in any case of letters; "" if nobody knows.
	Identity string `toml:"identity"`
	// Unit holds the keys of [[unit]] and, as "point", of its points: with number
	// in place of id, counted from 1 and never used again.
	Unit   map[string]any `toml:"unit"`
	Checks []Check        `toml:"check"`
}

// Check is what a value of an instrument of this kind always keeps to.
type Check struct {
	Tag   string    `toml:"tag"`    // of one of the points
	OneOf []float64 `toml:"one_of"` // nothing else is possible; empty: Low to High
	Low   float64   `toml:"low"`
	High  float64   `toml:"high"` // inclusive, in engineering units
}

// Holds reports whether a value is possible.
func (c *Check) Holds(v float64) bool {
	if len(c.OneOf) > 0 {
		return slices.Contains(c.OneOf, v)
	}
	return v >= c.Low && v <= c.High
}

// String says what is possible, such as "1, 2 or 3" or "-200 to 850".
func (c *Check) String() string {
	if len(c.OneOf) == 0 {
		return fmt.Sprintf("%g to %g", c.Low, c.High)
	}
	words := make([]string, len(c.OneOf))
	for i, v := range c.OneOf {
		words[i] = fmt.Sprintf("%g", v)
	}
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Identifies reports whether what a unit says of itself, in any number of
// texts, is what this instrument says. It is true where nobody knows that.
func (p *Profile) Identifies(says ...string) bool {
	return slices.ContainsFunc(append(says, ""), func(s string) bool {
		return strings.Contains(strings.ToLower(s), strings.ToLower(p.Identity))
	})
}

//go:embed files/*.toml
var files embed.FS

// Names returns the names of all profiles, templates among them, in order.
func Names() (names []string) {
	entries, _ := fs.ReadDir(files, "files") // embedded: it is there
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".toml"))
	}
	return names
}

// Get returns a profile. What it holds is the caller's own.
func Get(name string) (*Profile, error) {
	text, err := files.ReadFile("files/" + name + ".toml")
	if err != nil {
		return nil, fmt.Errorf("there is no profile %q: there are %s", name, strings.Join(Names(), ", "))
	}
	p := &Profile{Name: name}
	d := toml.NewDecoder(strings.NewReader(string(text)))
	if err := d.DisallowUnknownFields().Decode(p); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return p, nil
}
