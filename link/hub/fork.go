package hub

import (
	"slices"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// Fork is a set of epochs that claim the same place in a lane: a card was
// cloned, an old image restored or a store begun anew. All of them are kept.
type Fork struct {
	Lane   point.Lane
	Parent bufferstore.Epoch // zero where they all claim the beginning
	Epochs []bufferstore.Epoch
}

// Forks returns the forks in the lanes of a site.
func (m *Marks) Forks() []Fork {
	type place struct {
		lane   point.Lane
		parent bufferstore.Epoch
	}
	at := make(map[place]int)
	var all []Fork
	for _, e := range m.Epochs {
		if e.First == 0 {
			continue
		}
		p := place{e.Lane, e.Parent}
		i, met := at[p]
		if !met {
			i = len(all)
			at[p] = i
			all = append(all, Fork{Lane: e.Lane, Parent: e.Parent})
		}
		all[i].Epochs = append(all[i].Epochs, e.Epoch)
	}
	return slices.DeleteFunc(all, func(f Fork) bool { return len(f.Epochs) < 2 })
}
