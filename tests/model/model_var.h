/* SPDX-License-Identifier: MIT */
/* Fields under a lock, watched for races, whose reads and writes a mutant can get wrong: its verb
 * is "get" or "set" and the field. */
#ifndef RT_MODEL_VAR_H
#define RT_MODEL_VAR_H

#include "model_atomic.h"

template <typename T> static T model_get(T value, model_wrong wrong)
{
    return wrong == MODEL_ZERO ? (T)0 : wrong == MODEL_BLIND ? (T)1 : value;
}

template <typename T, typename V>
static void model_set(rl::var_proxy<T> field, V value, model_wrong wrong)
{
    if (wrong == MODEL_BLIND)
        value = (V)-1;
    if (wrong != MODEL_SKIP)
        field.store((T)value);
}

#undef RT_VAR_GET
#undef RT_VAR_SET
#define RT_VAR_GET(lvalue)    model_get((lvalue)($).load(), MODEL_HERE("get " #lvalue))
#define RT_VAR_SET(lvalue, v) model_set((lvalue)($), (v), MODEL_HERE("set " #lvalue))

#endif
