package serial

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machine is a file system with what sysfs and udev show of some ports.
type machine struct {
	t    *testing.T
	root string
}

func (m machine) file(name, content string) {
	m.t.Helper()
	name = filepath.Join(m.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content+"\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// link lets a name lead to another, which need not be there.
func (m machine) link(name, to string) {
	m.t.Helper()
	name = filepath.Join(m.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Symlink(to, name); err != nil {
		m.t.Fatal(err)
	}
}

// tty makes a terminal whose hardware is a device below sys/devices.
func (m machine) tty(name, device string) {
	m.file(filepath.Join("sys/devices", device, "tty", name, "dev"), "4:64")
	m.link("sys/class/tty/"+name, filepath.Join(m.root, "sys/devices", device, "tty", name))
	m.link(filepath.Join("sys/devices", device, "tty", name, "device"), filepath.Join(m.root, "sys/devices", device))
}

const usb = "pci0000:00/0000:00:14.0/usb1/1-1"

// usbAdapter plugs one in.
func (m machine) usbAdapter(tty, socket, driver, serial string) {
	adapter := "sys/devices/" + usb + "/1-1." + socket
	m.tty(tty, usb+"/1-1."+socket+"/1-1."+socket+":1.0/"+tty)
	m.link(adapter+"/1-1."+socket+":1.0/"+tty+"/driver", "/sys/bus/usb-serial/drivers/"+driver)
	m.file(adapter+"/idVendor", "0403")
	m.file(adapter+"/idProduct", "6001")
	m.file(adapter+"/manufacturer", "FTDI")
	m.file(adapter+"/product", "USB-RS485 Cable")
	if serial != "" {
		m.file(adapter+"/serial", serial)
	}
	m.link("dev/serial/by-path/pci-0000:00:14.0-usb-0:1."+socket+":1.0-port0", "../../"+tty)
}

func TestPortsAreDescribedAsSysfsHasThem(t *testing.T) {
	m := machine{t, t.TempDir()}
	m.file("sys/devices/virtual/tty/tty1/dev", "4:1")
	m.link("sys/class/tty/tty1", m.root+"/sys/devices/virtual/tty/tty1")

	// A UART with two devices of Linux itself between it and its driver.
	m.tty("ttyS0", "pnp0/00:04/00:04:0/00:04:0.0")
	m.file("sys/devices/pnp0/00:04/00:04:0/00:04:0.0/tty/ttyS0/type", "4")
	m.link("sys/devices/pnp0/00:04/00:04:0/00:04:0.0/subsystem", "/sys/bus/serial-base")
	m.link("sys/devices/pnp0/00:04/00:04:0/00:04:0.0/driver", "/sys/bus/serial-base/drivers/port")
	m.link("sys/devices/pnp0/00:04/00:04:0/subsystem", "/sys/bus/serial-base")
	m.link("sys/devices/pnp0/00:04/00:04:0/driver", "/sys/bus/serial-base/drivers/ctrl")
	m.link("sys/devices/pnp0/00:04/driver", "/sys/bus/pnp/drivers/serial")
	// A place for one that isn't there.
	m.tty("ttyS1", "platform/serial8250/serial8250:0/serial8250:0.1")
	m.file("sys/devices/platform/serial8250/serial8250:0/serial8250:0.1/tty/ttyS1/type", "0")

	m.usbAdapter("ttyUSB10", "2", "ftdi_sio", "")
	m.usbAdapter("ttyUSB2", "1", "ftdi_sio", "A5069RR4")
	m.link("dev/serial/by-id/usb-FTDI_USB-RS485_Cable_A5069RR4-if00-port0", "../../ttyUSB2")
	m.link("dev/serial/by-path/platform-again", "../../ttyUSB2") // the first name will do

	cable := PortInfo{Driver: "ftdi_sio", VendorID: "0403", ProductID: "6001", Vendor: "FTDI", Product: "USB-RS485 Cable"}
	one, two := cable, cable
	one.Device, one.SerialNumber = "/dev/ttyUSB2", "A5069RR4"
	one.ByID = "/dev/serial/by-id/usb-FTDI_USB-RS485_Cable_A5069RR4-if00-port0"
	one.ByPath = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.1:1.0-port0"
	two.Device, two.ByPath = "/dev/ttyUSB10", "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-port0"
	want := []PortInfo{{Device: "/dev/ttyS0", Driver: "serial"}, one, two}
	got, err := portsUnder(m.root)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v, -want +got\n%s", err, diff)
	}
	names := []string{got[0].Name(), got[1].Name(), got[2].Name()}
	if diff := cmp.Diff([]string{"/dev/ttyS0", one.ByID, two.ByPath}, names); diff != "" {
		t.Errorf("names to configure: -want +got\n%s", diff)
	}
}

func TestMachineWithoutPorts(t *testing.T) {
	m := machine{t, t.TempDir()}
	if got, err := portsUnder(m.root); err == nil {
		t.Errorf("%v without sysfs", got)
	}
	m.file("sys/class/tty/tty1/dev", "4:1")
	if got, err := portsUnder(m.root); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
}
