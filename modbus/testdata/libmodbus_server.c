// Unit 1 of libmodbus: register n holds n + 1000, coil and input n are on where
// n is odd; 200 of everything. Arguments: rtu and a device, or tcp. It says
// "ready" with its port.
#include <arpa/inet.h>
#include <modbus.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int serve(modbus_t *ctx, modbus_mapping_t *unit) {
	uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
	for (;;) {
		int n = modbus_receive(ctx, request);
		if (n < 0)
			return n;
		if (n > 0 && modbus_reply(ctx, request, n, unit) < 0)
			return -1;
	}
}

int main(int argc, char **argv) {
	int tcp = strcmp(argv[1], "tcp") == 0;
	modbus_t *ctx = tcp ? modbus_new_tcp("127.0.0.1", 0) : modbus_new_rtu(argv[2], 19200, 'N', 8, 1);
	modbus_mapping_t *unit = modbus_mapping_new(200, 200, 200, 200);
	int port = 0;
	if (!ctx || !unit || modbus_set_slave(ctx, 1) < 0)
		return 1;
	for (int i = 0; i < 200; i++) {
		unit->tab_bits[i] = unit->tab_input_bits[i] = i % 2;
		unit->tab_registers[i] = unit->tab_input_registers[i] = 1000 + i;
	}
	// Else it waits half a second before each exception.
	modbus_set_response_timeout(ctx, 0, 20000);
	modbus_set_byte_timeout(ctx, 0, 20000);
	modbus_set_error_recovery(ctx, MODBUS_ERROR_RECOVERY_LINK | MODBUS_ERROR_RECOVERY_PROTOCOL);
	int listener = -1;
	if (tcp) {
		struct sockaddr_in at;
		socklen_t size = sizeof at;
		listener = modbus_tcp_listen(ctx, 1);
		if (listener < 0 || getsockname(listener, (struct sockaddr *)&at, &size) < 0)
			return 1;
		port = ntohs(at.sin_port);
	} else if (modbus_connect(ctx) < 0) {
		return 1;
	}
	fprintf(stderr, "ready %d\n", port);
	if (tcp && modbus_tcp_accept(ctx, &listener) < 0)
		return 1;
	while (serve(ctx, unit) < 0 && !tcp)
		;
	return 0;
}
