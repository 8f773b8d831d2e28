package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"skyhaul/modbus"
	"skyhaul/modbus/survey"
)

func modbusIdentifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "identify",
		Short: "Ask a unit what it is and which functions it answers",
		Long: "Tries the functions that read: 1 to 4, 7, 8 (loopback), 11, 17 and 43/14, and shows\n" +
			"what the unit answers, how it declines, what it says of itself and in which order of\n" +
			"words its registers look like floats. It writes nothing. With --limits it looks for\n" +
			"the greatest reads that work. With --profile it reads every point of a known\n" +
			"instrument and says whether the unit can be one; exit 1 if it can't.",
		Example: "  skyhaul modbus identify --device /dev/ttyUSB0 --baud 19200 --parity E --unit 3\n" +
			"  skyhaul modbus identify --tcp 192.0.2.10:502 --unit 1 --profile eastron-sdm630",
	}
	f := connectFlags(cmd)
	f.unitFlag()
	at := cmd.Flags().Uint16("at", 0, "number on the wire where the unit has registers, for the tries and the order")
	limits := cmd.Flags().Bool("limits", false, "look for the greatest reads that work")
	known := cmd.Flags().String("profile", "", "`NAME` of a known instrument, see skyhaul init --profile list")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w, err := f.wiring()
		if err != nil {
			return err
		}
		unit, err := f.oneUnit(w)
		if err != nil {
			return err
		}
		if *known != "" {
			return checkProfile(cmd, w, unit, *known, f.json)
		}
		s, err := w.connect(cmd.Context(), nil)
		if err != nil {
			return err
		}
		defer s.conn.Close()
		s.once = true
		id, err := survey.Identify(cmd.Context(), s.ask, unit, survey.IdentifyOptions{Timing: w.timing(), Addr: *at, Limits: *limits})
		if err != nil {
			return s.hint(err)
		}
		if f.json {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(identityJSON(id))
		}
		return printIdentity(newScreen(cmd.OutOrStdout()), id)
	}
	return cmd
}

func identityJSON(id survey.Identity) jsonUnit {
	j := jsonUnit{
		Unit: id.Unit, Turnaround: id.Turnaround.Seconds() * 1000, Identity: id.Text(), Functions: map[string]string{},
		ServerID: fmt.Sprintf("%X", id.ServerID), Registers: id.MaxRegisters, Bits: id.MaxBits, Order: id.Order,
	}
	for _, f := range id.Functions {
		j.Functions[functionCode(f.Code)] = outcome(f.Err)
	}
	if len(id.Objects) > 0 {
		j.Objects = map[string]string{}
	}
	for _, o := range id.Objects {
		j.Objects[strconv.Itoa(int(o.ID))] = o.Value
	}
	return j
}

// outcome says in a few words what came of a request.
func outcome(err error) string {
	e, declined := errors.AsType[modbus.Exception](err)
	switch {
	case err == nil:
		return "answers"
	case declined:
		return e.Error()
	case errors.Is(err, modbus.ErrTimeout):
		return "no answer"
	}
	return "damaged answer"
}

// objectNames are those of V1.1b3, section 6.21.
var objectNames = map[modbus.ObjectID]string{
	modbus.VendorName: "vendor", modbus.ProductCode: "product code", modbus.MajorMinorRevision: "revision", modbus.VendorURL: "vendor URL",
	modbus.ProductName: "product", modbus.ModelName: "model", modbus.UserApplicationName: "application",
}

func printIdentity(sc *screen, id survey.Identity) error {
	fmt.Fprintf(sc.w, "unit %d: %s\n\n", id.Unit, cmp.Or(plain(id.Text()), "says nothing of itself"))
	rows := [][]cell{cells("function", "", "")}
	for _, f := range id.Functions {
		row := cells(functionCode(f.Code), functionTitle(f.Code), outcome(f.Err))
		row[2].style = map[bool]string{true: green, false: yellow}[f.Err == nil]
		rows = append(rows, row)
	}
	if err := sc.table(rows); err != nil {
		return err
	}
	fmt.Fprintln(sc.w)
	rows = [][]cell{cells("it says", "")}
	for _, o := range id.Objects {
		rows = append(rows, cells(cmp.Or(objectNames[o.ID], fmt.Sprintf("object %d", o.ID)), o.Value))
	}
	if id.ServerID != nil {
		rows = append(rows, cells("server id", fmt.Sprintf("% X  %s", id.ServerID, asText(id.ServerID))))
	}
	for _, f := range id.Functions {
		if f.Code == modbus.FuncReadExceptionStatus && f.Err == nil {
			rows = append(rows, cells("exception status", fmt.Sprintf("%08b", id.Status)))
		}
	}
	rows = append(rows, cells("turnaround", milliseconds(id.Turnaround.Seconds()*1000)))
	if id.Order != "" {
		rows = append(rows, cells("order", id.Order+": "+id.OrderReason))
	}
	if id.MaxRegisters > 0 {
		rows = append(rows, cells("greatest read", fmt.Sprintf("%d registers", id.MaxRegisters)))
	}
	if id.MaxBits > 0 {
		rows = append(rows, cells("greatest read", fmt.Sprintf("%d bits", id.MaxBits)))
	}
	return sc.table(rows)
}

// asText shows bytes as text, with dots for what can't be shown.
func asText(b []byte) string {
	text := make([]byte, len(b))
	for i, c := range b {
		text[i] = '.'
		if c >= ' ' && c <= '~' {
			text[i] = c
		}
	}
	return string(text)
}

// functionTitle names a function with its table.
func functionTitle(fc modbus.FunctionCode) string {
	switch {
	case fc.Reads():
		return "read " + tableOf(fc).name
	case fc == modbus.FuncDiagnostics:
		return "loopback"
	}
	return functionName(fc)
}
