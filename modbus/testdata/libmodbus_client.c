// A client of libmodbus that uses unit 1 and prints what it gets. Arguments: rtu
// or tcp, and the device or the TCP port.
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void words(const char *what, int n, const uint16_t *w) {
	printf("%s", what);
	for (int i = 0; i < n; i++)
		printf(" %d", w[i]);
	printf("\n");
}

static void bytes(const char *what, int n, const uint8_t *b) {
	printf("%s", what);
	for (int i = 0; i < n; i++)
		printf(" %d", b[i]);
	printf("\n");
}

int main(int argc, char **argv) {
	uint8_t b[256];
	uint16_t w[256];
	modbus_t *ctx = strcmp(argv[1], "tcp") == 0 ? modbus_new_tcp("127.0.0.1", atoi(argv[2]))
	                                            : modbus_new_rtu(argv[2], 19200, 'N', 8, 1);
	if (!ctx || modbus_set_slave(ctx, 1) < 0 || modbus_connect(ctx) < 0)
		return 1;
	modbus_set_response_timeout(ctx, 10, 0);
	bytes("1", modbus_read_bits(ctx, 0, 5, b), b);
	bytes("2", modbus_read_input_bits(ctx, 3, 2, b), b);
	words("3", modbus_read_registers(ctx, 10, 3, w), w);
	words("4", modbus_read_input_registers(ctx, 199, 1, w), w);
	printf("5 %d\n", modbus_write_bit(ctx, 0, 1));
	printf("6 %d\n", modbus_write_register(ctx, 5, 0xBEEF));
	printf("15 %d\n", modbus_write_bits(ctx, 1, 3, (uint8_t[]){0, 1, 1}));
	printf("16 %d\n", modbus_write_registers(ctx, 6, 3, (uint16_t[]){1, 2, 3}));
	bytes("1", modbus_read_bits(ctx, 0, 5, b), b);
	words("3", modbus_read_registers(ctx, 4, 6, w), w);
	printf("22 %d\n", modbus_mask_write_register(ctx, 6, 0xFF00, 0x0042));
	words("23", modbus_write_and_read_registers(ctx, 7, 1, (uint16_t[]){77}, 6, 2, w), w);
	bytes("17", modbus_report_slave_id(ctx, sizeof b, b), b);
	printf("exception %d\n", modbus_read_bits(ctx, 199, 2, b) < 0 ? errno - MODBUS_ENOBASE : 0);
	return 0;
}
