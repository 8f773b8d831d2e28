//go:build 386 || arm || mips || mipsle || windows

package bufferstore

// segmentEngine writes segments on this machine.
var segmentEngine engine = plainEngine{}
