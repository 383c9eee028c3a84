// Steps of optimizers: update param and the state, all (count,), in place. Formulas:
// reference/optimizer.py; g: the gradient with its sign and weight decay, fresh: 1 - decay rate.
extern "C" __global__ void follow_param(const STORE *param, const STORE *grad, REAL *master,
                                        REAL *wide_grad, long long count) {
    FOR_EACH(i, count) {
        STORE rounded;
        rounded = master[i];
        if ((REAL)rounded != (REAL)param[i]) master[i] = param[i];
        wide_grad[i] = grad[i];
    }
}

extern "C" __global__ void sgd(STORE *param, const STORE *grad, STORE *buffer, REAL lr, REAL momentum,
                               REAL fresh, REAL weight_decay, REAL sign, long long nesterov,
                               long long has_buffer, long long first, long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (weight_decay != 0) g += weight_decay * param[i];
        if (has_buffer) {
            REAL b = first ? g : momentum * buffer[i] + fresh * g;
            buffer[i] = b;
            g = nesterov ? g + momentum * b : b;
        }
        param[i] = param[i] - (lr * g);
    }
}

extern "C" __global__ void adam(STORE *param, const STORE *grad, STORE *mean, STORE *square,
                                STORE *largest, REAL rate, REAL fresh1, REAL beta2, REAL fresh2,
                                REAL eps, REAL decay, REAL shrink, REAL root, REAL sign,
                                long long amsgrad, long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (decay != 0) g += decay * param[i];
        REAL m = mean[i] + fresh1 * (g - mean[i]);
        REAL s = square[i] * beta2 + fresh2 * g * g;
        mean[i] = m;
        square[i] = s;
        if (amsgrad) largest[i] = s = larger(largest[i], s);
        param[i] = param[i] * shrink - m / (sqrt(s) * root + eps) * rate;
    }
}

extern "C" __global__ void rmsprop(STORE *param, const STORE *grad, STORE *square, STORE *mean,
                                   STORE *buffer, REAL lr, REAL alpha, REAL fresh, REAL eps,
                                   REAL decay, REAL momentum, REAL sign, long long centered,
                                   long long has_buffer, long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (decay != 0) g += decay * param[i];
        REAL s = square[i] * alpha + fresh * g * g;
        square[i] = s;
        if (centered) {
            REAL m = mean[i] + fresh * (g - mean[i]);
            mean[i] = m;
            if (!(isinf(s) && isfinite(m))) s -= m * m;  // m * m overflows, too
        }
        REAL change = g / (sqrt(s) + eps);
        if (has_buffer) {
            change = buffer[i] * momentum + change;
            buffer[i] = change;
        }
        param[i] = param[i] - (lr * change);
    }
}

extern "C" __global__ void adagrad(STORE *param, const STORE *grad, STORE *total, REAL lr, REAL eps,
                                   REAL decay, REAL sign, long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (decay != 0) g += decay * param[i];
        REAL s = total[i] + g * g;
        total[i] = s;
        param[i] = param[i] - (lr * (g / (sqrt(s) + eps)));
    }
}

extern "C" __global__ void adadelta(STORE *param, const STORE *grad, STORE *square, STORE *changes,
                                    REAL lr, REAL rho, REAL fresh, REAL eps, REAL decay, REAL sign,
                                    long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (decay != 0) g += decay * param[i];
        REAL s = square[i] * rho + fresh * g * g;
        REAL change = sqrt(changes[i] + eps) / sqrt(s + eps) * g;
        square[i] = s;
        changes[i] = changes[i] * rho + fresh * change * change;
        param[i] = param[i] - (lr * change);
    }
}

extern "C" __global__ void adamax(STORE *param, const STORE *grad, STORE *mean, STORE *largest,
                                  REAL rate, REAL fresh1, REAL beta2, REAL eps, REAL decay,
                                  REAL sign, long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (decay != 0) g += decay * param[i];
        REAL m = mean[i] + fresh1 * (g - mean[i]);
        REAL most = larger(largest[i] * beta2, (g < 0 ? -g : g) + eps);
        mean[i] = m;
        largest[i] = most;
        param[i] = param[i] - (rate * (m / most));
    }
}

extern "C" __global__ void nadam(STORE *param, const STORE *grad, STORE *mean, STORE *square,
                                 REAL rate1, REAL rate2, REAL fresh1, REAL beta2, REAL fresh2,
                                 REAL eps, REAL decay, REAL shrink, REAL rest, REAL sign,
                                 long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (decay != 0) g += decay * param[i];
        REAL m = mean[i] + fresh1 * (g - mean[i]);
        REAL s = square[i] * beta2 + fresh2 * g * g;
        mean[i] = m;
        square[i] = s;
        REAL scale = sqrt(s / rest) + eps;
        param[i] = param[i] * shrink - rate1 * (g / scale) - rate2 * (m / scale);
    }
}

extern "C" __global__ void radam(STORE *param, const STORE *grad, STORE *mean, STORE *square, REAL rate,
                                 REAL fresh1, REAL beta2, REAL fresh2, REAL eps, REAL decay,
                                 REAL shrink, REAL root, REAL sign, long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (decay != 0) g += decay * param[i];
        REAL m = mean[i] + fresh1 * (g - mean[i]);
        REAL s = square[i] * beta2 + fresh2 * g * g;
        mean[i] = m;
        square[i] = s;
        REAL change = rate * m;
        if (root != 0) change *= root / (sqrt(s) + eps);
        param[i] = param[i] * shrink - change;
    }
}

extern "C" __global__ void rprop(STORE *param, const STORE *grad, STORE *previous, STORE *size,
                                 REAL shrink, REAL grow, REAL low, REAL high, REAL sign,
                                 long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i], s = size[i], product = g * previous[i];
        if (product > 0) {
            s *= grow;
        } else if (product < 0) {
            s *= shrink;
            g = 0;
        }
        s = s < low ? low : s > high ? high : s;
        size[i] = s;
        previous[i] = g;
        param[i] = param[i] - (g > 0 ? s : g < 0 ? -s : 0);
    }
}

extern "C" __global__ void asgd(STORE *param, const STORE *grad, STORE *average, REAL eta,
                                REAL shrink, REAL mu, REAL decay, REAL sign, long long count) {
    FOR_EACH(i, count) {
        REAL g = sign * grad[i];
        if (decay != 0) g += decay * param[i];
        REAL p = param[i] * shrink - eta * g;
        param[i] = p;
        average[i] = mu == 1 ? p : average[i] + mu * (p - average[i]);
    }
}
