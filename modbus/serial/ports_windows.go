package serial

import (
	"strings"

	"go.bug.st/serial/enumerator"
)

func ports() ([]PortInfo, error) {
	found, err := enumerator.GetDetailedPortsList() // without probing the adapters
	if err != nil {
		return nil, err
	}
	list := make([]PortInfo, len(found))
	for i, p := range found {
		list[i] = PortInfo{
			Device: p.Name, VendorID: strings.ToLower(p.VID), ProductID: strings.ToLower(p.PID),
			Vendor: p.Manufacturer, Product: p.Product, SerialNumber: p.SerialNumber,
		}
	}
	return list, nil
}
