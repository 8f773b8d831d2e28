package clock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"

	"skyhaul/edge/stable"
)

const (
	bootsName = "clock.boots"
	keepBoots = 64 // more than an operator looks back; the last one is all we need
)

// boots is the table of boots, kept as JSON.
type boots struct {
	Last  uint32 `json:"last"` // the greatest ordinal given
	Boots []boot `json:"boots"`
}

type boot struct {
	ID      string `json:"id"`
	Ordinal uint32 `json:"ordinal"`
}

// ordinal returns the ordinal of the boot named id, and gives it the next one
// where it is new. Two boots must never share one, because a later time fix
// would set the readings of one right by the clock of the other. So:
//
//   - where one copy of the table is damaged, the other may lack the last
//     ordinal, and one is left out;
//   - where the table is lost, or can't be written, the ordinal begins a series
//     of its own, far from 1 and from any series before but for a chance of
//     1 in 65,535.
//
// Both come with an error that says so; the ordinal is good all the same. A
// folder that is empty altogether is a new appliance and begins at 1: if it is
// an old one, the store's epoch tells its readings apart.
func ordinal(dir *stable.Dir, id string) (uint32, error) {
	id = bootID(id, kernelBootID())
	table, doubt := loadBoots(dir)
	for _, b := range table.Boots {
		if b.ID == id {
			return b.Ordinal, nil
		}
	}
	table.Last++
	if doubt != nil {
		table.Last++
	}
	table.Boots = append(table.Boots, boot{ID: id, Ordinal: table.Last})
	table.Boots = table.Boots[max(0, len(table.Boots)-keepBoots):]
	if err := saveBoots(dir, table); err != nil {
		return newSeries() + 1, err
	}
	return table.Last, doubt
}

// loadBoots returns the table to go on with, and the reason to doubt that it
// holds every ordinal ever given.
func loadBoots(dir *stable.Dir) (table boots, doubt error) {
	b, err := dir.Load(bootsName)
	if errors.Is(err, fs.ErrNotExist) {
		others, listErr := dir.List("")
		if listErr == nil && len(others) == 0 {
			return table, nil
		}
		err = errors.Join(errors.New("table of boots is missing beside other values"), listErr)
	}
	if err == nil {
		err = json.Unmarshal(b, &table)
	}
	if err != nil {
		return boots{Last: newSeries()}, err
	}
	return table, dir.Damage()[bootsName]
}

func saveBoots(dir *stable.Dir, table boots) error {
	b, err := json.Marshal(table)
	if err != nil {
		return fmt.Errorf("save table of boots: %w", err)
	}
	return dir.Save(bootsName, b)
}

// newSeries returns an ordinal far from all others; it is not given itself.
func newSeries() uint32 { return (1 + rand.Uint32N(1<<16-1)) << 16 }

// bootID gives the id of a boot its one form: systemd's %b has no dashes, the
// kernel's has. Without any id this start is a boot of its own.
func bootID(given, kernel string) string {
	for _, id := range []string{given, kernel} {
		if id = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(id), "-", "")); id != "" {
			return id
		}
	}
	return fmt.Sprintf("start-%016x", rand.Uint64())
}
