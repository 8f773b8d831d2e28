package serial

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func ports() ([]PortInfo, error) { return portsUnder("/") }

// portsUnder lists the ports that sysfs below a root shows.
func portsUnder(root string) ([]PortInfo, error) {
	class := filepath.Join(root, "sys/class/tty")
	entries, err := os.ReadDir(class)
	if err != nil {
		return nil, err
	}
	byID := namesIn(filepath.Join(root, "dev/serial/by-id"))
	byPath := namesIn(filepath.Join(root, "dev/serial/by-path"))
	var list []PortInfo
	for _, e := range entries {
		tty := filepath.Join(class, e.Name())
		device, err := filepath.EvalSymlinks(filepath.Join(tty, "device"))
		if err != nil || attribute(tty, "type") == "0" {
			continue // no hardware behind it, or a place where a 16550 could be
		}
		p := PortInfo{Device: "/dev/" + e.Name(), ByID: below("/dev/serial/by-id", byID[e.Name()]), ByPath: below("/dev/serial/by-path", byPath[e.Name()])}
		p.describe(device, root)
		list = append(list, p)
	}
	slices.SortFunc(list, byNumber)
	return list, nil
}

// byNumber has ttyUSB2 before ttyUSB10.
func byNumber(a, b PortInfo) int {
	if n := len(a.Device) - len(b.Device); n != 0 && strings.TrimRight(a.Device, "0123456789") == strings.TrimRight(b.Device, "0123456789") {
		return n
	}
	return strings.Compare(a.Device, b.Device)
}

// describe finds driver and adapter among a device and what it hangs on.
func (p *PortInfo) describe(device, root string) {
	top := filepath.Join(root, "sys/devices")
	for dir := device; strings.HasPrefix(dir, top); dir = filepath.Dir(dir) {
		// Linux puts two devices of its own between a UART and its driver.
		bus := base(filepath.Join(dir, "subsystem"))
		if p.Driver == "" && bus != "serial-base" {
			p.Driver = base(filepath.Join(dir, "driver"))
		}
		if vendor := attribute(dir, "idVendor"); vendor != "" {
			p.VendorID, p.ProductID = vendor, attribute(dir, "idProduct")
			p.Vendor, p.Product = attribute(dir, "manufacturer"), attribute(dir, "product")
			p.SerialNumber = attribute(dir, "serial")
			return
		}
	}
}

// base returns the name that a symbolic link leads to, "" if there is none.
func base(link string) string {
	to, err := os.Readlink(link)
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// maxAttribute is the size of a page, which no attribute of sysfs exceeds.
const maxAttribute = 4096

// attribute returns a text of a device, "" if it has none.
func attribute(dir, name string) string {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, maxAttribute)
	n, _ := f.Read(b)
	return strings.TrimSpace(string(b[:n]))
}

// namesIn returns the links of a folder by the device they lead to, the first
// one if there are several.
func namesIn(dir string) map[string]string {
	entries, _ := os.ReadDir(dir) // absent without udev or USB adapters
	names := make(map[string]string)
	for _, e := range entries {
		device := base(filepath.Join(dir, e.Name()))
		if names[device] == "" {
			names[device] = e.Name()
		}
	}
	return names
}

func below(dir, name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join(dir, name)
}
