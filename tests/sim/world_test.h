#pragma once
/* Shared by the tests of the world. */
#include "sim/world.h"
#include "base/check.h"
#include "support/test.h"
