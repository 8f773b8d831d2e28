package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"skyhaul/config"
	"skyhaul/edge/profile"
	"skyhaul/edge/scan"
	"skyhaul/modbus"
	"skyhaul/modbus/survey"
)

// jsonProfile is what came of comparing a unit with a profile.
type jsonProfile struct {
	Profile  string        `json:"profile"`
	Unit     modbus.UnitID `json:"unit"`
	Fits     bool          `json:"fits"`
	Identity string        `json:"identity,omitempty"` // what the unit says of itself
	Points   []jsonChecked `json:"points"`
	Against  []string      `json:"against,omitempty"` // what speaks against it, a sentence each
}

// jsonChecked is a point of the profile, read.
type jsonChecked struct {
	Tag         string `json:"tag"`
	Description string `json:"description"`
	Value       string `json:"value,omitempty"`
	Unit        string `json:"unit,omitempty"`
	MustBe      string `json:"must_be,omitempty"`
	Error       string `json:"error,omitempty"`
}

// checkProfile reads every point of a profile and says whether the unit can be
// such an instrument.
func checkProfile(cmd *cobra.Command, w wiring, unit modbus.UnitID, name string, asJSON bool) error {
	p, err := profile.Get(name)
	if err == nil && p.Template {
		err = fmt.Errorf("%q is a template: it has no addresses to look at", name)
	}
	if err != nil {
		return usageError{err}
	}
	points, err := config.ProfilePoints(p)
	if err != nil {
		return err
	}
	if d, ok := p.Unit["dialect"].(string); ok {
		w.dialects = map[modbus.UnitID]modbus.Dialect{unit: dialects[d]}
	}
	s, err := w.connect(cmd.Context(), nil)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	out := jsonProfile{Profile: name, Unit: unit}
	if err := out.identity(cmd, s, p); err != nil {
		return s.hint(err)
	}
	for i := range points {
		out.point(cmd, s, p, &points[i])
	}
	out.Fits = len(out.Against) == 0
	if asJSON {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(out)
	} else {
		err = out.print(newScreen(cmd.OutOrStdout()), p)
	}
	if err == nil && !out.Fits {
		err = fmt.Errorf("unit %d is no %s, or is set up otherwise: %s", unit, p.Title, out.Against[0])
	}
	return err
}

// identity compares what the unit says of itself; it fails if nobody answers.
func (j *jsonProfile) identity(cmd *cobra.Command, s *session, p *profile.Profile) error {
	id, err := survey.Identify(cmd.Context(), s.ask, j.Unit, survey.IdentifyOptions{Timing: s.timing()})
	if err != nil {
		return err
	}
	j.Identity = id.Text()
	if j.Identity != "" && !p.Identifies(j.Identity) {
		j.Against = append(j.Against, fmt.Sprintf("it says that it is %q, not %q", j.Identity, p.Identity))
	}
	return nil
}

// point reads one point.
func (j *jsonProfile) point(cmd *cobra.Command, s *session, p *profile.Profile, pt *scan.Point) {
	out := jsonChecked{Tag: pt.Tag, Description: pt.Description, Unit: pt.Column.Unit}
	value, err := readPoint(cmd, s, j.Unit, pt)
	if err != nil {
		out.Error = outcome(err)
		j.Against = append(j.Against, fmt.Sprintf("%s: %s", pt.Tag, out.Error))
	} else {
		out.Value = strconv.FormatFloat(value, 'g', 7, 64)
	}
	for _, c := range p.Checks {
		if c.Tag != pt.Tag {
			continue
		}
		out.MustBe = c.String()
		if err == nil && !c.Holds(value) {
			j.Against = append(j.Against, fmt.Sprintf("%s is %s and must be %s", pt.Tag, out.Value, out.MustBe))
		}
	}
	j.Points = append(j.Points, out)
}

func readPoint(cmd *cobra.Command, s *session, unit modbus.UnitID, pt *scan.Point) (float64, error) {
	r := pt.Range()
	req, err := modbus.ReadRequest(r.Function, r.Addr, r.Quantity)
	if err != nil {
		return 0, err
	}
	a, err := s.ask(cmd.Context(), unit, req)
	if err != nil {
		return 0, err
	}
	if r.Function.Bits() {
		bits, err := modbus.Bits(a.PDU, 1)
		if err != nil || !bits[0] {
			return pt.Value(0), err
		}
		return pt.Value(1), nil
	}
	regs, err := modbus.Registers(a.PDU)
	if err != nil {
		return 0, err
	}
	raw, err := pt.Format.Decode(regs)
	return pt.Value(raw), err
}

func (j *jsonProfile) print(sc *screen, p *profile.Profile) error {
	fmt.Fprintf(sc.w, "unit %d as %s (%s, confidence %s)\n", j.Unit, p.Name, p.Title, p.Confidence)
	fmt.Fprintf(sc.w, "it says of itself: %s\n\n", cmp.Or(plain(j.Identity), "nothing"))
	rows := [][]cell{cells("point", "value", "unit", "must be", "description")}
	for _, pt := range j.Points {
		row := cells(pt.Tag, cmp.Or(pt.Value, pt.Error), pt.Unit, pt.MustBe, pt.Description)
		if pt.Error != "" {
			row[1].style = red
		}
		rows = append(rows, row)
	}
	if err := sc.table(rows); err != nil {
		return err
	}
	fmt.Fprintln(sc.w)
	for _, why := range j.Against {
		fmt.Fprintln(sc.w, sc.paint(red, "! "+plain(why)))
	}
	if j.Fits {
		fmt.Fprintln(sc.w, sc.paint(green, "nothing speaks against it; compare the values with the display:"))
		for _, n := range p.Notes {
			fmt.Fprintln(sc.w, "  "+n)
		}
	}
	return nil
}
