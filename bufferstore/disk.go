package bufferstore

// checkFree returns a [*FullError] where less than need bytes are free.
func checkFree(dir string, need int64) error {
	free, err := freeBytes(dir)
	if err == nil && free < need {
		err = &FullError{Dir: dir, Free: free, Need: need}
	}
	return err
}
