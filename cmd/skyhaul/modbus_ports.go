package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"skyhaul/modbus/serial"
)

func modbusPortsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ports",
		Short: "List the serial ports of this machine",
		Long: "Lists ports without opening any. The name to use in a configuration is the one that\n" +
			"survives replugging.",
		Example: "  skyhaul modbus ports",
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ports, err := serial.Ports()
		if err != nil {
			return err
		}
		if *asJSON {
			list := make([]jsonPort, len(ports))
			for i, p := range ports {
				list[i] = jsonPort{p.Device, p.Name(), adapter(p), p.VendorID, p.ProductID, p.SerialNumber}
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
		}
		if len(ports) == 0 {
			return fmt.Errorf("this machine has no serial ports: is the adapter plugged in, and its driver there?")
		}
		rows := [][]cell{cells("port", "name to configure", "adapter", "serial number")}
		for _, p := range ports {
			rows = append(rows, cells(p.Device, p.Name(), adapter(p), p.SerialNumber))
		}
		return newScreen(cmd.OutOrStdout()).table(rows)
	}
	return cmd
}

type jsonPort struct {
	Device    string `json:"device"`
	Name      string `json:"name"`
	Adapter   string `json:"adapter,omitempty"`
	VendorID  string `json:"vendor_id,omitempty"`
	ProductID string `json:"product_id,omitempty"`
	Serial    string `json:"serial_number,omitempty"`
}

// adapter says what is behind a port.
func adapter(p serial.PortInfo) string {
	words := []string{p.Vendor, p.Product}
	if p.VendorID != "" {
		words = append(words, p.VendorID+":"+p.ProductID)
	}
	if p.Driver != "" {
		words = append(words, "("+p.Driver+")")
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
