package serial

import "cmp"

// PortInfo describes a port of this machine. What isn't known is zero.
type PortInfo struct {
	Device string // as /dev/ttyUSB0 or COM3; it may change with each plugging
	ByID   string // below /dev/serial/by-id: the same adapter, wherever it is plugged
	ByPath string // below /dev/serial/by-path: the same socket, whatever is plugged
	Driver string // the kernel's, as ftdi_sio

	// Of a USB adapter.
	VendorID, ProductID string // four hexadecimal digits, as 0403
	Vendor, Product     string // names, as the adapter has them
	SerialNumber        string
}

// Name returns the best name to configure: one that survives replugging.
func (p PortInfo) Name() string { return cmp.Or(p.ByID, p.ByPath, p.Device) }

// Ports lists the serial ports of this machine by device name, without opening
// any. Pseudo-terminals are not among them.
func Ports() ([]PortInfo, error) { return ports() }
