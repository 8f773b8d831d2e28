//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

// Stats counts the calls that reached the volume since it was made, whether
// they failed or not. The counts go on through cuts.
type Stats struct {
	Writes   int   // the kernel may split one that is long, or not in memory
	Bytes    int64 // written
	Reads    int
	Syncs    int // of files
	DirSyncs int
	Calls    int   // all that an Op names
	Failed   int   // by a Fault
	Stalled  int   // by Stall, at this moment
	Used     int64 // bytes of the volume
}

// Stats returns the counts.
func (v *Volume) Stats() Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.stats
	s.Used = v.used * blockSize
	return s
}

func (s *Stats) count(op Op) {
	s.Calls++
	switch op {
	case Write:
		s.Writes++
	case Read:
		s.Reads++
	case Sync:
		s.Syncs++
	case SyncDir:
		s.DirSyncs++
	}
}
