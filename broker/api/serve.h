#pragma once
/* The broker's front: nets on every core with the handlers behind them, as its settings say. For
 * whoever runs a broker: the command, the simulator, a test. One thread, before the cores run and
 * after they have ended, except where it says otherwise. */
#include "cluster/broker.h"
#include "net/address.h"

/* Gives every shard its net and what calls need. After broker_open, on settings that stay. */
void api_open(struct broker *broker);

/* Listens at `address` (port 0: any; filled in), on core 0's port. Connections are accepted once
 * the cores run. ADDRESS_IN_USE, NO_PERMISSION, ... */
enum error api_listen(struct broker *broker, struct address *address);

/* Serves metrics as Prometheus text at `address`, likewise. Once at most. */
enum error api_serve_metrics(struct broker *broker, struct address *address);

/* On core 0's thread while cores run: closes the listeners, and every connection once its requests
 * have ended; then broker->stopped is called, there. */
void api_stop(struct broker *broker);

/* Frees what api_open made. No connection may be left. */
void api_close(struct broker *broker);
