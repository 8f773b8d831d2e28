package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"skyhaul/bufferstore"
)

func bufferVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Read everything and tell what is damaged or missing",
		Long: "Reads every byte of every segment, compares it with what was written, and reads every\n" +
			"record. What is lost and declared, as by a repair, is no damage. Exit 1 if anything is\n" +
			"damaged.",
		Example: "  skyhaul buffer verify --dir /var/lib/skyhaul",
	}
	open := bufferFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := open()
		if err != nil {
			return err
		}
		r, err := verify(cmd.Context(), b, newProgress(cmd.ErrOrStderr(), b.Disk().Segments))
		if err != nil {
			return b.explain(err)
		}
		if *asJSON {
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(r)
		} else {
			err = r.print(cmd.OutOrStdout())
		}
		if err != nil {
			return err
		}
		return r.verdict()
	}
	return cmd
}

// verification is what verify has found.
type verification struct {
	Dir      string             `json:"dir"`
	Lanes    []laneVerification `json:"lanes"`
	Segments []damagedSegment   `json:"damaged_segments"`
	Records  uint64             `json:"records"`
	Damaged  uint64             `json:"damaged"` // records that can't be read, which nobody has declared
	Headless bool               `json:"head_damaged"`
}

type laneVerification struct {
	Lane     string            `json:"lane"`
	Segments int               `json:"segments"`
	Records  uint64            `json:"records"`
	Damaged  uint64            `json:"damaged"`
	Gaps     map[string]uint64 `json:"declared_gaps"` // records by reason
}

type damagedSegment struct {
	Segment string          `json:"segment"`
	First   bufferstore.Seq `json:"first"`
	Last    bufferstore.Seq `json:"last"`
	Left    uint64          `json:"records_left"`
}

func verify(ctx context.Context, b *view, p *progress) (*verification, error) {
	defer p.end()
	r := &verification{Dir: b.store, Lanes: []laneVerification{}, Segments: []damagedSegment{}, Headless: b.Headless()}
	for _, l := range b.lanes() {
		r.Lanes = append(r.Lanes, laneVerification{Lane: l.Name, Segments: l.Segments, Gaps: newLaneListing(l).LostBy})
	}
	for part, err := range b.Verify() {
		if err = cmp.Or(context.Cause(ctx), err); err != nil {
			return nil, err
		}
		p.add(part.Bytes)
		r.add(part)
	}
	return r, nil
}

func (r *verification) add(p bufferstore.Part) {
	if p.Damaged {
		r.Segments = append(r.Segments, damagedSegment{p.Segment, p.First, p.Last, p.Records})
	}
	r.Records += p.Records
	r.Damaged += p.Lost
	if i := slices.IndexFunc(r.Lanes, func(l laneVerification) bool { return l.Lane == p.Lane }); i >= 0 {
		r.Lanes[i].Records += p.Records
		r.Lanes[i].Damaged += p.Lost
	}
}

func (r *verification) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "lane\tsegments\trecords\tdamaged\t  declared gaps\n")
	for _, l := range r.Lanes {
		var gaps []string
		for _, why := range slices.Sorted(maps.Keys(l.Gaps)) {
			gaps = append(gaps, fmt.Sprintf("%d %s", l.Gaps[why], why))
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t  %s\n", l.Lane, l.Segments, l.Records, l.Damaged, orDash(strings.Join(gaps, ", ")))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, s := range r.Segments {
		if s.Last == 0 {
			fmt.Fprintf(w, "segments/%s is damaged: nothing of it is left\n", s.Segment)
			continue
		}
		fmt.Fprintf(w, "segments/%s is damaged: %d of the records %d to %d are left\n", s.Segment, s.Left, s.First, s.Last)
	}
	if r.Headless {
		fmt.Fprintln(w, headlessText)
	}
	_, err := fmt.Fprintf(w, "%d records read, %d damaged\n", r.Records, r.Damaged)
	return err
}

// verdict is an error that says what to do if anything is damaged.
func (r *verification) verdict() error {
	if r.Damaged == 0 && len(r.Segments) == 0 && !r.Headless {
		return nil
	}
	return fmt.Errorf("the buffer is damaged, %d records are lost: there is nothing to do: the daemon goes on with what is left and declares the rest; "+
		"it repairs a damaged segment by itself when it reads it, and keeps its damaged files in %s", r.Damaged, filepath.Join(r.Dir, "quarantine"))
}

// progress shows on a terminal how far a long reading is. Elsewhere it shows nothing.
type progress struct {
	w           io.Writer // nil: no terminal
	total, done int64     // bytes
	start, last time.Time
}

// progressEvery is the pause between two showings.
const progressEvery = 200 * time.Millisecond

func newProgress(w io.Writer, total int64) *progress {
	p := &progress{total: max(total, 1), start: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = w
	}
	return p
}

// add tells of bytes that were read.
func (p *progress) add(n int64) {
	p.done += n
	now := time.Now()
	if p.w == nil || now.Sub(p.last) < progressEvery {
		return
	}
	p.last = now
	rate := float64(p.done) / max(now.Sub(p.start).Seconds(), 1e-3)
	fmt.Fprintf(p.w, "\r%3d %%, %s/s\x1b[K", 100*min(p.done, p.total)/p.total, bytesText(rate)) // and clears the rest of the line
}

// end takes the line away.
func (p *progress) end() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
