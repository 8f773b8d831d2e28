package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/config"
	"skyhaul/link/tariff"
	"skyhaul/link/window"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration and say what it will do and cost",
		Long: "Reads the configuration as the daemon does. If it is right, prints what is read\n" +
			"in which blocks, how busy each line is, how much there is to send, what that costs\n" +
			"at several session cadences, how long the buffer lasts, and the next windows.",
		Example: "  skyhaul check --config /etc/skyhaul/skyhaul.toml",
	}
	load := configFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	density := cmd.Flags().Float64("bytes-per-reading", 1.5, "expected `BYTES` of a reading on the link; skyhaul codec bench measures it on recordings")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := load()
		if err != nil {
			return err
		}
		if !(*density > 0 && *density < 100) {
			return usageError{fmt.Errorf("--bytes-per-reading %v: more than 0 and less than 100", *density)}
		}
		f := newForecast(c, *density, time.Now().UTC().Truncate(time.Second))
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(f)
		}
		return f.print(cmd.OutOrStdout(), c)
	}
	return cmd
}

// forecast is what a configuration will do and cost.
type forecast struct {
	Site           string         `json:"site"`
	Configuration  string         `json:"configuration"`
	Lines          []lineForecast `json:"lines"`
	ReadingsPerDay float64        `json:"readings_per_day"`
	BytesPerDay    float64        `json:"payload_bytes_per_day"` // of these readings
	RuledPoints    int            `json:"ruled_points,omitempty"`
	RuledLeast     float64        `json:"ruled_readings_per_day_least,omitempty"`
	RuledMost      float64        `json:"ruled_readings_per_day_most,omitempty"`
	BufferBytes    int64          `json:"buffer_bytes,omitempty"`
	BufferDays     float64        `json:"buffer_days,omitempty"`
	Cadences       []cadence      `json:"cadences,omitempty"`
	Windows        []jsonSpan     `json:"windows,omitempty"`
}

type lineForecast struct {
	Name   string          `json:"name"`
	Load   float64         `json:"load"`
	Groups []groupForecast `json:"groups"`
}

type groupForecast struct {
	Name     string   `json:"name"`
	Interval float64  `json:"interval_s"`
	Pass     float64  `json:"pass_s"`
	Points   int      `json:"points"`
	Requests int      `json:"requests"`
	Bytes    int      `json:"value_bytes"`
	Because  string   `json:"pass_is"` // how the pass comes to take so long
	Blocks   []string `json:"blocks"`
}

// cadence is what it costs to empty the buffer so many times a day.
type cadence struct {
	SessionsPerDay float64 `json:"sessions_per_day"`
	BilledPerMonth int64   `json:"billed_bytes_per_month"`
	CostPerMonth   float64 `json:"cost_per_month"`
	Currency       string  `json:"currency"`
}

// sessionUp and sessionDown are the bytes that a session takes beside its
// batches: TCP, a TLS 1.3 handshake with client certificates, and MQTT.
// Measured: MQTT over mutual TLS with P-256 certificates takes 6.3 kB in all.
const sessionUp, sessionDown = 2_500, 3_800

// perBatch is the wire's share of one batch: MQTT, TLS, TCP and IP headers, and
// the acknowledgement that comes back.
const perBatchUp, perBatchDown = 105, 125

func newForecast(c *config.Config, density float64, now time.Time) *forecast {
	f := &forecast{Site: c.Site.ID, Configuration: fmt.Sprintf("%x", c.Hash)}
	var ruled config.Ruled
	f.ReadingsPerDay, ruled = c.Readings()
	f.RuledPoints, f.RuledLeast, f.RuledMost = ruled.Points, ruled.Least, ruled.Most
	f.BytesPerDay = f.ReadingsPerDay * density
	for _, p := range c.Plan() {
		l := lineForecast{Name: p.Line.Name, Load: p.Load}
		for _, g := range p.Groups {
			l.Groups = append(l.Groups, newGroupForecast(p.Line, g))
		}
		f.Lines = append(f.Lines, l)
	}
	f.BufferBytes = c.Buffer.Quota
	if f.BufferBytes == 0 {
		f.BufferBytes = freeBytes(c.Buffer.Dir)
	}
	if f.BytesPerDay > 0 {
		f.BufferDays = float64(f.BufferBytes) / f.BytesPerDay
	}
	if c.Uplink != nil {
		for _, perDay := range []float64{1, 4, 24, 96} {
			f.Cadences = append(f.Cadences, newCadence(&c.Uplink.Tariff, perDay, f.BytesPerDay, c.Uplink.MaxBatch))
		}
		f.Windows = spanJSON(window.Next(c.Uplink.Window, now, 3))
	}
	return f
}

func newGroupForecast(l *config.Line, g config.GroupPlan) groupForecast {
	gf := groupForecast{
		Name: g.Group.Name, Interval: g.Group.Interval.Seconds(), Pass: g.Pass.Seconds(), Points: len(g.Group.Points),
		Requests: g.Requests, Bytes: g.Bytes, Because: g.Arithmetic(l),
	}
	for _, u := range g.Units {
		for _, b := range u.Blocks {
			gf.Blocks = append(gf.Blocks, fmt.Sprintf("unit %d %s", u.Unit, config.Describe(b)))
		}
	}
	return gf
}

func newCadence(plan *tariff.Plan, perDay, bytesPerDay float64, maxBatch int) cadence {
	payload := bytesPerDay / perDay
	batches := math.Ceil(payload / float64(maxBatch))
	billed, money := plan.Month(perDay, tariff.Usage{
		Up: int64(payload + batches*perBatchUp + sessionUp), Down: int64(batches*perBatchDown + sessionDown),
	})
	return cadence{perDay, billed, money, plan.Currency}
}

func (f *forecast) print(w io.Writer, c *config.Config) error {
	fmt.Fprintf(w, "%s: the configuration is right (%s)\n", f.Site, f.Configuration)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "\nline\tbusy\tgroup\tevery\tpass\tpoints\ta pass is\n")
	for _, l := range f.Lines {
		for _, g := range l.Groups {
			fmt.Fprintf(tw, "%s\t%.1f %%\t%s\t%v\t%v\t%d\t%s\n", l.Name, 100*l.Load, g.Name, seconds(g.Interval), seconds(g.Pass).Round(time.Millisecond),
				g.Points, g.Because)
		}
	}
	fmt.Fprintf(tw, "\nline\tgroup\tblocks\n")
	for _, l := range f.Lines {
		for _, g := range l.Groups {
			for i, b := range g.Blocks {
				if i > 0 {
					l.Name, g.Name = "", ""
				}
				fmt.Fprintf(tw, "%s\t%s\t%s\n", l.Name, g.Name, b)
			}
		}
	}
	fmt.Fprintf(tw, "\nreadings a day\t%s\npayload a day\t%s\n", thousands(f.ReadingsPerDay), bytesText(f.BytesPerDay))
	if f.RuledPoints > 0 {
		fmt.Fprintf(tw, "beside these\t%s to %s readings a day of %d points that send what changes: by what they do, so not in payload, buffer and cost\n",
			thousands(f.RuledLeast), thousands(f.RuledMost), f.RuledPoints)
	}
	if f.BufferDays > 0 {
		fmt.Fprintf(tw, "buffer\t%s, about %.0f days\n", bytesText(float64(f.BufferBytes)), f.BufferDays)
	}
	if len(f.Cadences) > 0 {
		fmt.Fprintf(tw, "\nsessions a day\tbilled a month\tcost a month\n")
	}
	for _, k := range f.Cadences {
		fmt.Fprintf(tw, "%.0f\t%s\t%.2f %s\n", k.SessionsPerDay, bytesText(float64(k.BilledPerMonth)), k.CostPerMonth, k.Currency)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if c.Uplink == nil {
		_, err := fmt.Fprintln(w, "\nno [[uplink]]: the site only buffers")
		return err
	}
	fmt.Fprintln(w)
	return printSpans(w, c, window.Next(c.Uplink.Window, time.Now().UTC().Truncate(time.Second), 3))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// bytesText prints a size as operators bill it: powers of 1000.
func bytesText(n float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f B", n)
}

// thousands groups digits: 8,640,000.
func thousands(v float64) string {
	s := strconv.FormatInt(int64(v), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
