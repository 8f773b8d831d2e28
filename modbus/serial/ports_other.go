//go:build !linux && !windows

package serial

import bugst "go.bug.st/serial"

func ports() ([]PortInfo, error) {
	names, err := bugst.GetPortsList()
	list := make([]PortInfo, len(names))
	for i, name := range names {
		list[i].Device = name
	}
	return list, err
}
