package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"skyhaul/bufferstore"
)

func bufferLsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ls", Short: "List the lanes, how far they are delivered, and what the buffer takes",
		Long: "One line a lane: the numbers it has, its records, what was lost of it and why, the\n" +
			"running time of the store since the oldest was written, and how far each destination\n" +
			"is. With --epochs each opening of the store that wrote to a lane. A fork, as from a\n" +
			"cloned card, shows as two buffers with different epochs of one parent.",
		Example: "  skyhaul buffer ls --dir /var/lib/skyhaul",
	}
	open := bufferFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	epochs := cmd.Flags().Bool("epochs", false, "list the epochs of each lane as well")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := open()
		if err != nil {
			return err
		}
		l := newListing(b, *epochs)
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(l)
		}
		return l.print(cmd.OutOrStdout())
	}
	return cmd
}

// listing is a buffer as ls prints it. Sizes are in bytes.
type listing struct {
	Dir                         string
	Lanes                       []laneListing
	Bytes                       int64
	Quota                       int64 `json:",omitempty"`
	Head, SegmentBytes, Ballast int64
	Segments                    int
	Quarantine                  map[string]int64 // what was set aside, by name
	AgeSeconds                  float64          // running time of the store
	Headless                    bool
}

type laneListing struct {
	Name                     string
	First, Durable, Appended bufferstore.Seq
	Records                  uint64
	Bytes                    int64
	Gaps                     int
	Lost                     uint64            // numbers in them
	LostBy                   map[string]uint64 // of them, declared, by reason
	Undeclared               uint64            // of them, found gone
	AgeSeconds               float64           // running time of the store since the oldest was written
	Cursors                  []cursorListing
	Epochs                   []epochListing `json:",omitempty"`
}

type cursorListing struct {
	Name        string
	Sent, Acked bufferstore.Seq
	Behind      uint64 // numbers that are not acked
}

type epochListing struct {
	Epoch, Parent string
	First, Last   bufferstore.Seq
}

func newListing(b *view, epochs bool) *listing {
	st, disk := b.Stats(), b.Disk()
	l := &listing{
		Dir: b.store, Lanes: []laneListing{}, Bytes: disk.Head + disk.Segments + disk.Ballast, Quota: b.quota,
		Head: disk.Head, SegmentBytes: disk.Segments, Ballast: disk.Ballast, Quarantine: disk.Quarantine,
		AgeSeconds: st.Age.Seconds(), Headless: b.Headless(),
	}
	for _, lane := range b.lanes() {
		row := newLaneListing(lane)
		if epochs {
			row.Epochs = epochListings(b.Spans(lane.Name))
		}
		l.Lanes = append(l.Lanes, row)
		l.Segments += lane.Segments
	}
	return l
}

func newLaneListing(l bufferstore.LaneView) laneListing {
	row := laneListing{
		Name: l.Name, First: l.First, Durable: l.Durable, Appended: l.Appended, Records: l.Records, Bytes: l.Bytes,
		Gaps: l.Gaps, Lost: l.Lost, LostBy: map[string]uint64{}, Undeclared: l.Missing, AgeSeconds: l.Age.Seconds(),
		Cursors: []cursorListing{},
	}
	for why, n := range l.Declared {
		row.LostBy[why.String()] = n
	}
	for _, c := range l.Cursors {
		row.Cursors = append(row.Cursors, cursorListing{c.Name, c.Sent, c.Acked, uint64(l.Durable - c.Acked)})
	}
	return row
}

func epochListings(spans []bufferstore.Span) (all []epochListing) {
	for _, sp := range spans {
		e := epochListing{Epoch: sp.Epoch.String(), First: sp.First, Last: sp.Last}
		if sp.Parent != (bufferstore.Epoch{}) {
			e.Parent = sp.Parent.String()
		}
		all = append(all, e)
	}
	return all
}

func (l *listing) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "lane\toldest\tnewest\trecords\tbytes\tgaps\tlost\tage\t  cursors\n")
	for i := range l.Lanes {
		r := &l.Lanes[i]
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%s\t%d\t%s\t%s\t  %s\n", r.Name, r.First, r.Durable, r.Records,
			bytesText(float64(r.Bytes)), r.Gaps, r.lost(), ageText(r.AgeSeconds), r.cursors())
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	l.printEpochs(w)
	size := func(n int64) string { return bytesText(float64(n)) }
	fmt.Fprintf(w, "\n%s: %s", l.Dir, size(l.Bytes))
	if l.Quota > 0 {
		fmt.Fprintf(w, " of %s", size(l.Quota))
	}
	fmt.Fprintf(w, ": head %s, %d segments %s, ballast %s; running time %s\n", size(l.Head), l.Segments, size(l.SegmentBytes), size(l.Ballast), ageText(l.AgeSeconds))
	for _, name := range slices.Sorted(maps.Keys(l.Quarantine)) {
		fmt.Fprintf(w, "set aside: quarantine/%s, %s\n", name, size(l.Quarantine[name]))
	}
	if l.Headless {
		fmt.Fprintln(w, headlessText)
	}
	return nil
}

// headlessText tells of a buffer whose head says nothing.
const headlessText = "the head is damaged: this is what the segments and the marks tell; what the head alone held is gone"

func (l *listing) printEpochs(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer tw.Flush()
	heads := "\nlane\tepoch\tparent\tfirst\tlast\t\n"
	for i := range l.Lanes {
		for _, e := range l.Lanes[i].Epochs {
			fmt.Fprintf(tw, heads+"%s\t%s\t%s\t%d\t%d\t\n", l.Lanes[i].Name, e.Epoch, orDash(e.Parent), e.First, e.Last)
			heads = ""
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// lost says how many numbers are lost, and why: 25 (5 damaged, 20 evicted).
func (r *laneListing) lost() string {
	var why []string
	for _, name := range slices.Sorted(maps.Keys(r.LostBy)) {
		why = append(why, fmt.Sprintf("%d %s", r.LostBy[name], name))
	}
	if r.Undeclared > 0 {
		why = append(why, fmt.Sprintf("%d not declared yet", r.Undeclared))
	}
	if len(why) == 0 {
		return fmt.Sprint(r.Lost)
	}
	return fmt.Sprintf("%d (%s)", r.Lost, strings.Join(why, ", "))
}

func (r *laneListing) cursors() string {
	var all []string
	for _, c := range r.Cursors {
		all = append(all, fmt.Sprintf("%s: sent %d, acked %d, %d behind", c.Name, c.Sent, c.Acked, c.Behind))
	}
	return strings.Join(all, "; ")
}

// ageText prints a running time: 12s, 3h4m5s, 12 days.
func ageText(s float64) string {
	if d := seconds(s); d < 48*time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.0f days", s/86400)
}
